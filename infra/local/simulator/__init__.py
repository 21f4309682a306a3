"""A local stand-in for the model providers: the OpenAI and Anthropic wire protocols over HTTP."""

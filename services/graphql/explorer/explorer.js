// The page's own script. Whatever is a credential stays in the page: it is not remembered.
const root = document.getElementById("explorer");
const socket = new URL(root.dataset.socketUrl, location.href.replace(/^http/, "ws"));
const fetcher = GraphiQL.createFetcher({ url: location.pathname, subscriptionUrl: socket.href });

const query = `# Ctrl-Enter runs it. Put your credential into the headers below, then have the
# schema fetched again (the round arrows on the left).
query Agents {
  agents(limit: 10) {
    edges { node { id name status tasks(limit: 5) { edges { node { description status } } } } }
  }
}

# Results arrive until you stop it.
subscription Status($agentId: ID!) {
  agentStatusUpdated(agentId: $agentId)
}
`;
const headers = JSON.stringify({ authorization: "ApiKey <your API key>" }, null, 2);

ReactDOM.createRoot(root).render(
  React.createElement(GraphiQL, {
    fetcher,
    defaultQuery: query,
    defaultHeaders: headers,
    defaultEditorToolsVisibility: "headers",
    shouldPersistHeaders: false,
  }),
);

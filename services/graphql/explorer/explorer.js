// The page's own script. Whatever is a credential stays in the page: it is not remembered.
const root = document.getElementById("explorer");
const socket = new URL(root.dataset.socketUrl, location.href.replace(/^http/, "ws"));
const ask = GraphiQL.createFetcher({ url: location.pathname, subscriptionUrl: socket.href });

const hint = "Put your credential into the headers below, then fetch the schema: the round arrows.";
const headers = JSON.stringify({ authorization: "ApiKey " }, null, 2);
const query = `# Ctrl-Enter runs what the cursor is in.
query Agents {
  agents(limit: 10) {
    edges {
      node {
        id name status
        tasks(limit: 5) {
          edges { node { id description status } }
        }
      }
    }
  }
}

# Results arrive until you stop it.
subscription Status($agentId: ID!) {
  agentStatusUpdated(agentId: $agentId)
}
`;

// Without a credential nobody is asked: an address that keeps failing is told to wait.
const fetcher = (request, options) =>
  /^\S+ \S/.test(options?.headers?.authorization ?? "")
    ? ask(request, options)
    : { errors: [{ message: hint }] };

ReactDOM.createRoot(root).render(
  React.createElement(GraphiQL, {
    fetcher,
    defaultQuery: query,
    defaultHeaders: headers,
    defaultEditorToolsVisibility: "headers",
    shouldPersistHeaders: false,
  }),
);

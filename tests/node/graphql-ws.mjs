// The npm client `graphql-ws` against the platform: node graphql-ws.mjs URL KEY AGENT TASK
import { createClient } from 'graphql-ws';
setTimeout(() => process.exit(1), 30_000);

const [url, apiKey, agentId, taskId] = process.argv.slice(2);
const tell = (name, value) => console.log(JSON.stringify([name, value]));

const client = createClient({ url, connectionParams: { apiKey }, retryAttempts: 0, keepAlive: 2000 });
const progress = `subscription ($agentId: ID!, $taskId: ID!) {
  taskProgressUpdated(agentId: $agentId, taskId: $taskId, after: "0") { status result } }`;
const variables = { agentId, taskId };
for await (const { data, extensions } of client.iterate({ query: progress, variables })) {
  tell('progress', { ...data.taskProgressUpdated, cursor: extensions.cursor });
  if (data.taskProgressUpdated.status === 'COMPLETED') break;
}
const query = 'query ($agentId: ID!) { agent(id: $agentId) { id } }';
for await (const answer of client.iterate({ query, variables: { agentId } })) tell('query', answer);

const failed = (client, query) =>
  new Promise((resolve) =>
    client.subscribe({ query }, { next: resolve, error: resolve, complete: () => resolve('complete') }),
  );
tell('invalid', await failed(client, 'subscription { nonsense }'));

const stranger = createClient({ url, connectionParams: { apiKey: 'bad' }, retryAttempts: 0 });
const pings = [];
stranger.on('ping', (received, payload) => received && pings.push(payload));
await failed(stranger, '{ __typename }');
tell('stranger', pings);
process.exit(0);

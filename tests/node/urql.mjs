// urql with its subscriptions over graphql-ws: node urql.mjs HTTP_URL WS_URL KEY AGENT TASK
import { Client, cacheExchange, fetchExchange, gql, subscriptionExchange } from '@urql/core';
setTimeout(() => process.exit(1), 30_000);
import { createClient } from 'graphql-ws';

const [url, socketUrl, apiKey, agentId, taskId] = process.argv.slice(2);
const tell = (name, value) => console.log(JSON.stringify([name, value]));

const sockets = createClient({ url: socketUrl, connectionParams: { apiKey }, retryAttempts: 0 });
const client = new Client({
  url,
  preferGetMethod: false,
  fetchOptions: { headers: { authorization: `ApiKey ${apiKey}` } },
  exchanges: [
    cacheExchange,
    fetchExchange,
    subscriptionExchange({
      forwardSubscription: (request) => ({
        subscribe: (sink) => ({
          unsubscribe: sockets.subscribe({ ...request, query: request.query ?? '' }, sink),
        }),
      }),
    }),
  ],
});

const agent = gql`query ($agentId: ID!) { agent(id: $agentId) { id name } }`;
const { data, error } = await client.query(agent, { agentId });
tell('query', { data, error });
const progress = gql`subscription ($agentId: ID!, $taskId: ID!) {
  taskProgressUpdated(agentId: $agentId, taskId: $taskId, after: "0") { status } }`;
client.subscription(progress, { agentId, taskId }).subscribe(({ data, error }) => {
  tell('progress', data?.taskProgressUpdated.status ?? String(error));
  if (!data || data.taskProgressUpdated.status === 'COMPLETED') process.exit(0);
});

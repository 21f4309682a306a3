// Writes the page that `GET /graphql` answers: everything is in it, and its policy lets in no script
// but these and no connection but to the service itself.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

const SCRIPTS = [
  "node_modules/react/umd/react.production.min.js",
  "node_modules/react-dom/umd/react-dom.production.min.js",
  "node_modules/graphiql/graphiql.min.js",
  "explorer.js",
];
const TARGET = "../chalicelib/graphql/explorer.html";

const read = (name) => readFileSync(new URL(name, import.meta.url), "utf8");
const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;

// Inside of an element the text "</script" would end it, and source maps are not there.
const scripts = SCRIPTS.map(read).map((text) =>
  text.replace(/<\/script/gi, "<\\/script").replace(/^\/\/# sourceMappingURL=.*$/gm, ""),
);
const policy = [
  "default-src 'none'",
  `script-src ${scripts.map(hash).join(" ")}`,
  "style-src 'unsafe-inline'",
  "img-src data:",
  "font-src data:",
  "connect-src 'self' wss:",
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");
const parts = {
  policy,
  style: read("node_modules/graphiql/graphiql.min.css"),
  scripts: scripts.map((text) => `<script>${text}</script>`).join("\n"),
};

const page = read("page.html").replace(/{{(\w+)}}/g, (_, name) => parts[name]);
writeFileSync(new URL(TARGET, import.meta.url), page);

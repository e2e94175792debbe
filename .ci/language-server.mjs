// Asks the language server that editors use what it makes of schemas/playbook.json: sound playbooks stay
// silent, two actions are flagged, action keys complete, and hovering explains.
// Usage: node language-server.mjs SERVER REPOSITORY
import { spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

const [server, root] = process.argv.slice(2);
const schema = `file://${join(root, "schemas", "playbook.json")}`;
const child = spawn(process.execPath, [server, "--stdio"], { stdio: ["pipe", "pipe", "inherit"] });
const waiting = new Map();
const diagnosed = new Map();
let buffer = Buffer.alloc(0);
let last = 0;

function send(message) {
  const body = Buffer.from(JSON.stringify({ jsonrpc: "2.0", ...message }));
  child.stdin.write(`Content-Length: ${body.length}\r\n\r\n`);
  child.stdin.write(body);
}
function ask(method, params) {
  const id = ++last;
  send({ id, method, params });
  return new Promise((answered) => waiting.set(id, answered));
}
function heard(message) {
  if (message.method === "textDocument/publishDiagnostics") {
    diagnosed.get(message.params.uri)?.(message.params.diagnostics);
  } else if (message.id !== undefined && message.method !== undefined) {
    // The server asks for settings; the modeline of each document says all that it needs.
    const result = message.method === "workspace/configuration" ? message.params.items.map(() => ({})) : null;
    send({ id: message.id, result });
  } else {
    waiting.get(message.id)?.(message.result);
  }
}
child.stdout.on("data", (chunk) => {
  buffer = Buffer.concat([buffer, chunk]);
  for (;;) {
    const end = buffer.indexOf("\r\n\r\n");
    if (end < 0) return;
    const length = Number(/Content-Length: (\d+)/i.exec(buffer.subarray(0, end).toString())[1]);
    if (buffer.length < end + 4 + length) return;
    const body = buffer.subarray(end + 4, end + 4 + length).toString();
    buffer = buffer.subarray(end + 4 + length);
    heard(JSON.parse(body));
  }
});

let documents = 0;
async function open(text) {
  const uri = `file://${join(root, `editor-${++documents}.yaml`)}`;
  const published = new Promise((told) => diagnosed.set(uri, told));
  send({ method: "textDocument/didOpen", params: { textDocument: { uri, languageId: "yaml", version: 1, text } } });
  return { uri, diagnostics: (await published).map((one) => one.message) };
}
function expect(what, holds, seen) {
  if (holds) return console.log(`ok  ${what}`);
  console.error(`not ok  ${what}\n${JSON.stringify(seen, null, 1)}`);
  process.exitCode = 1;
}

// A server that does not answer must not hold the build.
const late = setTimeout(() => {
  console.error("not ok  the language server did not answer within two minutes");
  process.exit(1);
}, 120_000);

const head = `# yaml-language-server: $schema=${schema}\nsortie: 1\nname: x\n`;
await ask("initialize", { processId: process.pid, rootUri: `file://${root}`, capabilities: {} });
send({ method: "initialized", params: {} });

for (const folder of readdirSync(join(root, "playbooks"))) {
  const files = readdirSync(join(root, "playbooks", folder)).filter((name) => name.endsWith(".yaml"));
  for (const name of files.filter((name) => !name.endsWith(".test.yaml"))) {
    const text = readFileSync(join(root, "playbooks", folder, name), "utf8");
    const { diagnostics } = await open(text.replace("../../schemas/playbook.json", schema));
    expect(`${folder}/${name} is silent`, diagnostics.length === 0, diagnostics);
  }
}
const bad = [
  ["two actions", "steps:\n  - get_file: /a\n    list_directory: /b\n", /more than one|multiple schemas/i],
  ["an unknown key", "steps:\n  - get_file: {path: /a, sizes: 1}\n", /sizes/],
  ["a wrong word", "steps:\n  - get_file: {path: /a, if_missing: maybe}\n", /if_missing|"fail"|not accepted/i],
  ["a bare number as a duration", "steps:\n  - get_file: /a\n    timeout: 90\n", /./],
];
for (const [what, steps, words] of bad) {
  const { diagnostics } = await open(head + steps);
  expect(`${what} is flagged`, diagnostics.some((message) => words.test(message)), diagnostics);
}
const unfinished = await open(`${head}steps:\n  - l\n`);
const at = { textDocument: { uri: unfinished.uri }, position: { line: 4, character: 5 } };
const completed = await ask("textDocument/completion", at);
const labels = (completed?.items ?? completed ?? []).map((item) => item.label);
expect("action keys complete", labels.includes("list_directory") && labels.includes("list_processes"), labels);
const whole = await open(`${head}steps:\n  - list_processes: {}\n`);
const over = { textDocument: { uri: whole.uri }, position: { line: 4, character: 8 } };
const hover = JSON.stringify(await ask("textDocument/hover", over));
expect("hovering explains an action", /running processes/i.test(hover), hover);

clearTimeout(late);
child.kill();

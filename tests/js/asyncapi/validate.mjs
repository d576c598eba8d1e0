// Reads an AsyncAPI document with the official parser: node validate.mjs FILE
// Prints one line per finding; exits 1 if one of them is an error or nothing could be read.
import { readFile } from "node:fs/promises";
import { Parser } from "@asyncapi/parser";

const SEVERITIES = ["error", "warning", "info", "hint"];

const [file] = process.argv.slice(2);
const { document, diagnostics } = await new Parser().parse(await readFile(file, "utf8"));
for (const { severity, code, message, path } of diagnostics) {
  console.log(`${SEVERITIES[severity]} ${code} at ${path.join("/") || "/"}: ${message}`);
}
if (document === undefined || diagnostics.some(({ severity }) => severity === 0)) process.exit(1);
console.log(`read ${document.allMessages().length} messages of ${document.allOperations().length} operations`);

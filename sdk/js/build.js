#!/usr/bin/env node
// Builds a handler of several files, or in TypeScript, into one component:
//
//     gristmill-build src/orders.ts -o orders.wasm
//
// esbuild bundles it, componentize-qjs puts it into a component with a JavaScript engine. What the component
// imports, and so what has to be granted to it, is what the handler uses.
import { mkdtempSync, readFileSync, rmSync, writeFileSync, mkdirSync, renameSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join, parse, relative, resolve, sep } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { lineTable, translator } from "./lines.js";

const SDK = dirname(fileURLToPath(import.meta.url));
/** The name of the module that is made for each handler. */
const ENTRY = "gristmill-entry.js";
const USAGE = "usage: gristmill-build FILE [-o FILE.wasm]";
/** Interfaces of the host that a handler may import, each the name of a file of the SDK. */
const INTERFACES = ["producer", "state", "transaction", "delivery", "secrets", "body"];
/** What the SDK itself needs of WASI. */
const WASI = {
  environment: "wasi:cli/environment@0.2.0",
  stdout: "wasi:cli/stdout@0.2.0",
  stderr: "wasi:cli/stderr@0.2.0",
  random: "wasi:random/random@0.2.0",
};
const queueInterface = (name) => `gristmill:queue/${name}@0.1.0`;

/** The text of the module that stands between the component and the handler. */
function entry(file, interfaces, batches) {
  const imports = Object.entries({
    ...Object.fromEntries(interfaces.map((name) => [name, queueInterface(name)])),
    ...WASI,
  });
  return [
    `import "gristmill/globals";`,
    `import { handlerOf, batchHandlerOf, setTable } from "gristmill/entry";`,
    ...imports.map(([name, from]) => `import ${name} from ${JSON.stringify(from)};`),
    `import * as user from ${JSON.stringify(file)};`,
    `export const handler = handlerOf(user, { ${imports.map(([name]) => name).join(", ")} });`,
    ...(batches ? ["export const batchHandler = batchHandlerOf(user);"] : []),
    "setTable(gristmillLines());",
  ].join("\n");
}

/** The world of a handler that uses these interfaces. */
function world(interfaces, batches) {
  const imports = [...interfaces.map(queueInterface), ...Object.values(WASI)];
  return [
    "package gristmill:built;",
    "world handler {",
    ...imports.map((name) => `  import ${name};`),
    `  export ${queueInterface("handler")};`,
    ...(batches ? [`  export ${queueInterface("batch-handler")};`] : []),
    "}",
  ].join("\n");
}

/** Bundles what is given: the handler with its entry, or the handler as it is. */
async function bundle(esbuild, what) {
  return esbuild.build({
    ...what,
    alias: {
      gristmill: join(SDK, "src/index.js"),
      "gristmill/entry": join(SDK, "src/entry.js"),
      "gristmill/globals": join(SDK, "src/globals.js"),
    },
    external: ["gristmill:*", "wasi:*"],
    bundle: true,
    format: "esm",
    target: "es2022",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["gristmill"],
    sourcemap: "external",
    outfile: "bundle.js",
    metafile: true,
    write: false,
    logLevel: "silent",
  });
}

/** The handler with its entry. */
function whole(file, interfaces, batches) {
  const contents = entry(file, interfaces, batches);
  return { stdin: { contents, resolveDir: dirname(file), sourcefile: ENTRY, loader: "js" } };
}

/** What is left in a bundle. */
function outputOf({ metafile }) {
  return Object.entries(metafile.outputs).find(([name]) => name.endsWith(".js"))[1];
}

/** The interfaces whose files of the SDK are left in a bundle. */
function used(bundled) {
  const left = Object.entries(outputOf(bundled).inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0);
  const files = new Set(left.map(([path]) => resolve(path)));
  return INTERFACES.filter((name) => files.has(join(SDK, "src", `${name}.js`)));
}

/** A source file, from the folder of the handler; nothing for those that are not the user's. */
function shown(path, folder) {
  const own = basename(path) === ENTRY || path.startsWith(join(SDK, "src") + sep);
  return own ? "" : relative(folder, path);
}

/** What the engine says of the top level of the program, without what is about our own part of it. */
function told(message, name, map) {
  const said = message.replace(/^.*JavaScript module evaluation: (Error: )?/s, "");
  const lines = translator(name, map)(said).split("\n");
  return lines.filter((line) => !line.includes(`(/${name}:`)).join("\n").trimEnd();
}

/** The statement that gives the SDK the lines of the bundle, for stack traces; declared, so that it may stand last. */
function lines(name, { sources, mappings }) {
  const table = { name, sources, lines: lineTable(mappings) };
  return `function gristmillLines() { return ${JSON.stringify(table)}; }`;
}

async function load(name, from) {
  // The tools are those of the project that is built, not of this package.
  for (const base of [from, join(process.cwd(), "package.json"), import.meta.url]) {
    try {
      const found = createRequire(base.startsWith("file:") ? base : pathToFileURL(base)).resolve(name);
      return await import(pathToFileURL(found).href);
    } catch (error) {
      if (error.code !== "MODULE_NOT_FOUND") throw error;
    }
  }
  throw new Error(`${name} is not installed: npm install --save-dev esbuild componentize-qjs`);
}

export async function build(file, output) {
  const source = resolve(file);
  const esbuild = await load("esbuild", source);
  const qjs = await load("componentize-qjs", source);
  // Once to see what is used, and once more with no other imports than those.
  const batches = outputOf(await bundle(esbuild, { entryPoints: [source] })).exports.includes("handleBatch");
  const interfaces = used(await bundle(esbuild, whole(source, INTERFACES, batches)));
  const { outputFiles } = await bundle(esbuild, whole(source, interfaces, batches));
  const text = (extension) => outputFiles.find(({ path }) => path.endsWith(extension)).text;
  const map = JSON.parse(text(".js.map"));
  map.sources = map.sources.map((path) => shown(resolve(path), dirname(source)));
  const name = `${parse(source).name}.js`;
  const bundled = `${text(".js")}\n${lines(name, map)}`;
  const folder = mkdtempSync(join(tmpdir(), "gristmill-build-"));
  try {
    mkdirSync(join(folder, "deps"));
    writeFileSync(join(folder, "world.wit"), world(interfaces, batches));
    for (const name of ["queue.wit", "wasi.wit"]) {
      writeFileSync(join(folder, "deps", name), readFileSync(join(SDK, "wit", name)));
    }
    writeFileSync(join(folder, name), bundled);
    const { component } = await qjs.componentize({
      witPath: folder,
      world: "handler",
      jsSource: bundled,
      jsPath: join(folder, name),
      moduleRoot: folder,
      sync: true,
    }).catch((error) => { throw new Error(told(error.message, name, map)); });
    // Whole or not at all: a host may be watching the folder.
    const unfinished = join(dirname(resolve(output)), `.${basename(output)}.new`);
    writeFileSync(unfinished, component);
    renameSync(unfinished, output);
    return { size: component.length, interfaces };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function main(args) {
  let output;
  const files = [];
  for (let i = 0; i < args.length; i += 1) {
    if (args[i] === "-o" || args[i] === "--output") output = args[(i += 1)];
    else files.push(args[i]);
  }
  if (files.length !== 1 || files[0].startsWith("-")) {
    console.error(USAGE);
    return 2;
  }
  output ??= `${parse(files[0]).name}.wasm`;
  try {
    const { size, interfaces } = await build(files[0], output);
    console.log(`${relative(process.cwd(), resolve(output)) || output}: ${Math.round(size / 1024)} KiB, uses ${interfaces.join(", ") || "nothing of the queue"}`);
    return 0;
  } catch (error) {
    for (const { text, location } of error.errors ?? []) {
      const place = location ? `${location.file}:${location.line}:${location.column + 1}: ` : "";
      console.error(`${place}${text}`);
      if (location) console.error(`    ${location.lineText}\n    ${" ".repeat(location.column)}^`);
    }
    if (!error.errors) console.error(`gristmill-build: ${error.message}`);
    return 1;
  }
}

if (process.argv[1] && fileURLToPath(import.meta.url) === resolve(process.argv[1])) {
  process.exitCode = await main(process.argv.slice(2));
}

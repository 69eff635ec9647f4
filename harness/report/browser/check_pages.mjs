// Opens the pages that kill9 writes in headless Chromium, each at two widths and in two schemes,
// and checks what only a browser knows: accessibility (axe-core), that nothing is cut off or comes
// from elsewhere, that sorting, filters, links, zoom and hover do what they promise.
//
//   node check_pages.mjs FOLDER [SCREENSHOTS]    every *.html in FOLDER, by its kind
//
// Exit code 0: all passed; 1: something failed; 77: skipped, and it says why.
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { behaviours, kBreakages } from "./behaviours.mjs";

const kWidths = [390, 1280];
const kSchemes = ["light", "dark"];
const kSkipped = 77;
const kMostComplaints = 12;  // shown of one check

function skip(why) {
  console.log(`skipped: ${why}`);
  process.exit(kSkipped);
}

const require = createRequire(import.meta.url);
function moduleOrSkip(name) {
  try {
    return require.resolve(name);
  } catch {
    return skip(`the npm package ${name} is not installed here (./dev report-test does it)`);
  }
}

const browser = ["chromium", "chromium-browser", "google-chrome"].find(
  name => spawnSync(name, ["--version"]).status === 0);
if (browser === undefined) skip("chromium is not installed (Debian's package chromium)");
const axeSource = readFileSync(moduleOrSkip("axe-core"), "utf8");
moduleOrSkip("ws");
const { default: WebSocket } = await import("ws");

// One tab, driven by the browser's own protocol.
class Tab {
  static async open() {
    const profile = mkdtempSync(join(tmpdir(), "kill9-browser-"));
    const process_ = spawn(browser, ["--headless=new", "--no-sandbox", "--disable-gpu",
      "--disable-dev-shm-usage", "--remote-debugging-port=0", `--user-data-dir=${profile}`,
      "about:blank"], { stdio: ["ignore", "ignore", "pipe"] });
    const address = await new Promise((found, failed) => {
      let text = "";
      process_.stderr.on("data", data => {
        text += data;
        const at = text.match(/DevTools listening on (ws:\S+)/);
        if (at) found(at[1]);
      });
      process_.on("exit", () => failed(new Error(`${browser} ended at once:\n${text}`)));
    });
    const tab = new Tab();
    tab.close = () => {
      tab.socket.close();
      return new Promise(ended => {
        process_.on("exit", () => { rmSync(profile, { recursive: true, force: true }); ended(); });
        process_.kill();
      });
    };
    tab.socket = new WebSocket(address, { maxPayload: 1 << 28 });
    await new Promise((opened, failed) => {
      tab.socket.on("open", opened);
      tab.socket.on("error", failed);
    });
    tab.socket.on("message", data => tab.#receive(JSON.parse(data)));
    const { targetId } = await tab.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await tab.send("Target.attachToTarget", { targetId, flatten: true });
    tab.session = sessionId;
    for (const domain of ["Page", "Runtime", "Log", "Network"]) await tab.send(`${domain}.enable`);
    return tab;
  }

  #last = 0;
  #waiting = new Map();
  #loaded = () => {};
  complaints = [];

  #receive({ id, result, error, method, params }) {
    if (id !== undefined) {
      const { done, failed } = this.#waiting.get(id);
      this.#waiting.delete(id);
      return error ? failed(new Error(error.message)) : done(result);
    }
    if (method === "Page.loadEventFired") this.#loaded();
    if (method === "Runtime.exceptionThrown") {
      this.complaints.push(params.exceptionDetails.exception?.description ?? "an exception");
    }
    if (method === "Log.entryAdded" && params.entry.level === "error") {
      this.complaints.push(params.entry.text);
    }
    if (method === "Network.requestWillBeSent" && !/^(file|data):/.test(params.request.url)) {
      this.complaints.push(`asks for ${params.request.url}`);
    }
  }

  send(method, params = {}) {
    const id = ++this.#last;
    this.socket.send(JSON.stringify({ id, method, params, sessionId: this.session }));
    return new Promise((done, failed) => this.#waiting.set(id, { done, failed }));
  }

  async show(path, width, scheme) {
    this.complaints = [];
    await this.send("Emulation.setDeviceMetricsOverride",
      { width, height: 844, deviceScaleFactor: 1, mobile: width < 600 });
    await this.send("Emulation.setEmulatedMedia",
      { features: [{ name: "prefers-color-scheme", value: scheme }] });
    const loaded = new Promise(done => { this.#loaded = done; });
    await this.send("Page.navigate", { url: "about:blank" });
    await loaded;
    const shown = new Promise(done => { this.#loaded = done; });
    await this.send("Page.navigate", { url: `file://${path}` });
    await shown;
  }

  // The value of an expression in the page; a promise is waited for.
  async value(expression) {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate",
      { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? expression);
    return result.value;
  }

  async pressed(key) {
    for (const type of ["keyDown", "keyUp"]) {
      await this.send("Input.dispatchKeyEvent", { type, key, code: key });
    }
  }

  async pointTo(x, y) {
    await this.send("Input.dispatchMouseEvent", { type: "mouseMoved", x, y });
  }

  async picture(path) {
    const { data } = await this.send("Page.captureScreenshot", { format: "png" });
    writeFileSync(path, Buffer.from(data, "base64"));
  }
}

// What every page must be, at every width, in every scheme: each returns complaints.
const kGeneral = {
  "no error, and nothing from elsewhere": async tab => tab.complaints,
  "not wider than the window": async tab => {
    const [page, width] = await tab.value(
      "[document.documentElement.scrollWidth, document.documentElement.clientWidth]");
    return page > width ? [`${page} px in ${width} px`] : [];
  },
  "follows the scheme": async (tab, { scheme }) => {
    const colour = await tab.value("getComputedStyle(document.body).backgroundColor");
    const sum = colour.match(/\d+/g).slice(0, 3).reduce((a, b) => a + Number(b), 0);
    return (sum < 300) === (scheme === "dark") ? [] : [`its background is ${colour}`];
  },
  "accessible (axe-core)": async tab => {
    await tab.value(`${axeSource}; undefined`);
    const violations = await tab.value(`axe.run(document, { resultTypes: ["violations"] })
      .then(result => result.violations.flatMap(one => one.nodes.map(node =>
        one.id + ": " + node.target.join(" ") + ": " + node.failureSummary.split("\\n")[1])))`);
    return violations;
  },
};

function pagesIn(folder) {
  return readdirSync(folder, { recursive: true }).filter(name => name.endsWith(".html")).sort()
    .map(name => join(folder, name));
}

const [folder, screenshots] = process.argv.slice(2).map(path => resolve(path));
const pages = pagesIn(folder);
if (pages.length === 0) {
  console.log(`no pages in ${folder}`);
  process.exit(1);
}
if (screenshots) mkdirSync(screenshots, { recursive: true });
let passed = 0;
let failed = 0;

// Complaints of one check; what it throws is one, too.
async function complaintsOf(check, tab, setting) {
  try {
    return await check(tab, setting);
  } catch (error) {
    return [String(error)];
  }
}

function note(what, complaints) {
  if (complaints.length === 0) {
    ++passed;
    return;
  }
  ++failed;
  console.log(`${what}:`);
  for (const one of complaints.slice(0, kMostComplaints)) console.log(`    ${one}`);
  if (complaints.length > kMostComplaints) console.log(`    ... ${complaints.length} in all`);
}

const proven = new Set();  // checks that were seen to complain of what was broken on purpose
const tab = await Tab.open();
for (const page of pages) {
  const name = relative(folder, page);
  for (const width of kWidths) {
    for (const scheme of kSchemes) {
      const setting = { width, scheme };
      await tab.show(page, width, scheme);
      if (screenshots) {
        const file = `${name.replaceAll("/", "_").replace(".html", "")}-${width}-${scheme}.png`;
        await tab.picture(join(screenshots, file));
      }
      const checks = Object.entries({ ...kGeneral, ...(await behaviours(tab)) });
      for (const [what, check] of checks) {
        note(`${name}, ${width} px, ${scheme}: not ${what}`,
          await complaintsOf(check, tab, setting));
      }
      for (const [what, check] of checks) {
        if (proven.has(what) || scheme !== "light") continue;
        proven.add(what);
        await tab.show(page, width, scheme);
        await tab.value(`${kBreakages[what]}; new Promise(done => setTimeout(done, 200))`);
        const seen = (await complaintsOf(check, tab, setting)).length > 0;
        note(`broken on purpose, and not seen: ${what}`, seen ? [] : [kBreakages[what]]);
      }
    }
  }
}
await tab.close();
console.log(`${pages.length} pages, ${kWidths.length} widths, ${kSchemes.length} schemes; ` +
  `${proven.size} checks, each seen to fail`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);

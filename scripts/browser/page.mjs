// The checks of scripts/browser-test. Each one opens the page in a context of its own, and says how to break the page so that the
// check fails (`broken`): --prove runs it against that page.
import { createHash } from "node:crypto";
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { resolve } from "node:path";

const options = Object.fromEntries(process.argv.slice(2).map((name, at, all) =>
  name.startsWith("--") ? [name.slice(2), all[at + 1]?.startsWith("--") === false ? all[at + 1] : true] : null).filter(Boolean));
const { chromium } = createRequire(resolve(options.modules) + "/")("playwright-core");

const TOKEN = "a-token-0123456789";
const UP_TO_DATE = "All numbers are up to date";
// Control characters, and those that are invisible or turn the direction of text.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/;

const servers = [];
// However this ends, no server stays behind.
process.on("exit", () => servers.forEach(server => server.kill()));
async function start(...more) {
  const child = spawn(options.server, ["--address", "127.0.0.1:0", ...more], { stdio: ["pipe", "pipe", "inherit"] });
  servers.push(child);
  const url = await new Promise((done, fail) => {
    child.stdout.once("data", data => done(String(data).trim().replace(/\/$/, "")));
    child.once("exit", status => fail(new Error(`the example has ended with ${status} before it served anything`)));
  });
  return { url, state: name => child.stdin.write(name + "\n"), stop: () => child.kill() };
}

const wait = ms => new Promise(done => setTimeout(done, ms));
function expect(is, message) { if (!is) throw new Error(message); }
// Waits until `look` returns something true. It throws with what was seen last.
async function until(what, look, seconds = 15) {
  const end = Date.now() + 1000 * seconds;
  let seen;
  for (;;) {
    try { seen = await look(); } catch (error) { seen = null; if (Date.now() > end) throw error; }
    if (seen) return seen;
    if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s`);
    await wait(100);
  }
}

// Opens the page, and collects what must not happen on any page.
async function open(browser, url, { mutate, width = 1280, dark = false, path = "/", ready = true } = {}) {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: dark ? "dark" : "light", locale: "en-GB" });
  const page = await context.newPage();
  page.setDefaultTimeout(10000);
  page.bad = { console: [], dialogs: [], foreign: [], errors: [] };
  page.on("console", message => { if (message.type() === "error") page.bad.console.push(message.text()); });
  page.on("pageerror", error => page.bad.errors.push(error.message));
  page.on("dialog", dialog => { page.bad.dialogs.push(dialog.message()); dialog.dismiss(); });
  page.on("request", request => {
    const asked = new URL(request.url());
    if (asked.protocol.startsWith("http") && asked.origin !== new URL(url).origin) page.bad.foreign.push(request.url());
  });
  // A host that has nested the routes under /evs.
  await page.route(asked => asked.pathname.startsWith("/evs"), async route => {
    const asked = new URL(route.request().url());
    asked.pathname = asked.pathname.replace(/^\/evs\/?/, "/");
    // A check that ends closes the page, maybe in the middle of an answer.
    try { await route.fulfill({ response: await route.fetch({ url: asked.href }) }); } catch { /* The page is gone. */ }
  });
  if (mutate) await page.route(asked => asked.pathname === path, async route => {
    const real = await route.fetch({ url: url + "/" });
    const whole = await real.text(), body = mutate(whole);
    expect(body !== whole, "the page was not broken: what is replaced in it is gone");
    const hash = tag => `'sha256-${createHash("sha256").update(body.split(`<${tag}>`)[1].split(`</${tag}>`)[0]).digest("base64")}'`;
    const policy = `default-src 'none'; script-src ${hash("script")}; style-src ${hash("style")}; connect-src 'self'; img-src * data:`;
    await route.fulfill({ body, headers: { ...real.headers(), "content-security-policy": policy } });
  });
  await page.goto(url + path);
  if (ready) await page.waitForSelector("#n-table tbody tr").catch(() => {
    throw new Error(`the page shows no numbers within 10 s: ${[...page.bad.errors, ...page.bad.console].join("; ") || "without an error"}`);
  });
  page.text = selector => page.locator(selector).first().innerText();
  page.headline = () => page.text(".headline");
  page.says = async (headline, seconds) => {
    let seen;
    await until("the headline", async () => (seen = await page.headline()) === headline, seconds).catch(() => {
      throw new Error(`the headline is "${seen}", not "${headline}"`);
    });
  };
  return page;
}

const rows = page => page.locator("#n-table tbody tr").count();
async function choose(page, statistic) {
  await page.selectOption("#n-statistic", statistic);
  // The table is of another statistic as soon as its link is.
  await until(`the numbers of ${statistic}`, async () => (await page.locator("#n-notes a").first().getAttribute("href")).includes(`/${statistic}?`));
}

// The contrast of each text with what is behind it, as WCAG has it; returns those below 4.5.
function lowContrast() {
  const parse = color => { const [r, g, b, a = 1] = color.match(/[\d.]+/g).map(Number); return { r, g, b, a }; };
  const linear = c => (c /= 255) <= .03928 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4;
  const light = ({ r, g, b }) => .2126 * linear(r) + .7152 * linear(g) + .0722 * linear(b);
  const ground = node => {
    for (; node; node = node.parentElement) { const color = parse(getComputedStyle(node).backgroundColor); if (color.a === 1) return color; }
    return { r: 255, g: 255, b: 255 };
  };
  const low = new Set();
  for (const node of document.querySelectorAll("body *")) {
    const hasText = [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim());
    if (!hasText || !node.checkVisibility() || ["SCRIPT", "STYLE", "OPTION", "NOSCRIPT"].includes(node.tagName)) continue;
    const style = getComputedStyle(node), [a, b] = [light(parse(node instanceof SVGElement ? style.fill : style.color)), light(ground(node))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) low.add(`${node.tagName} "${node.textContent.trim().slice(0, 30)}": ${ratio.toFixed(2)}`);
  }
  return [...low];
}

let main, second;
const CHECKS = {
  "renders": {
    broken: html => html.replace("  renderSource();\n", ""),
    async run(mutate, browser) {
      const page = await open(browser, main.url, { mutate });
      await page.says(UP_TO_DATE);
      expect(await page.locator("#sinks tbody tr").count() === 2, "there are not two sinks");
      expect(await page.locator("#statistics tbody tr").count() === 5, "there are not five statistics");
      for (const value of await page.locator(".figure .value").allInnerTexts()) expect(value.trim(), "a figure is empty");
      expect((await page.locator("#plot .series").first().getAttribute("d")).length > 100, "the plot has no line");
      expect(await page.locator("#plot text").count() > 6, "the plot's axes have no labels");
      expect(await page.locator("#legend button").count() === 5, "the legend has not five keys");
      expect((await page.title()).startsWith("✓ web1"), "the title does not say how the source is doing");
    },
  },
  "updates": {
    broken: html => html.replace("timer = setTimeout(poll,", "timer = setTimeout(() => {},"),
    async run(mutate, browser) {
      const page = await open(browser, main.url, { mutate }), look = () => page.text("#figures .more");
      const before = await look();
      await until(`the number of lines (${before}) grows`, async () => await look() !== before, 6);
      const moment = await page.text("#connection");
      await until("the time of the answer moves", async () => await page.text("#connection") !== moment, 6);
    },
  },
  "a sink that is down is named, with its error and since when": {
    broken: html => html.replace('sink.state === "down"', 'sink.state === "nothing"'),
    async run(mutate, browser) {
      const page = await open(browser, main.url, { mutate });
      main.state("sink-down");
      try {
        await page.says("Sink warehouse is down");
        const reason = await page.text("#verdicts li");
        expect(/down since \d\d:\d\d \(\d+\ss\): .*connection refused/.test(reason), `the reason has no error or time: ${reason}`);
        expect(/\d+ batch(es)? with \d+ rows? waits? for it/.test(reason), `the reason does not say what waits: ${reason}`);
        expect((await page.title()).startsWith("✗"), "the title does not say that something is wrong");
      } finally { main.state("healthy"); }
      await page.says(UP_TO_DATE, 90);
    },
  },
  "a statistic that has stopped is named, with its way out": {
    broken: html => html.replace("for (const stopped of sink.stopped) {\n      bad(", "for (const stopped of []) {\n      bad("),
    async run(mutate, browser) {
      const page = await open(browser, main.url, { mutate });
      main.state("refused");
      try {
        await page.says("The statistic errors has stopped in warehouse");
        expect((await page.text("#verdicts li .way")).includes("retry"), "no way out");
      } finally { main.state("healthy"); }
      await page.says(UP_TO_DATE, 90);
    },
  },
  "a pause is named, with its reason": {
    broken: html => html.replace('bad("Reading is paused"', 'note("Reading is paused"'),
    async run(mutate, browser) {
      const page = await open(browser, main.url, { mutate });
      main.state("paused");
      try {
        await page.says("Reading is paused");
        expect((await page.text("#verdicts li")).startsWith("The database is being moved, since "), await page.text("#verdicts li"));
      } finally { main.state("healthy"); }
      await page.says(UP_TO_DATE, 90);
    },
  },
  // The example cannot be brought into these states, so the answer of the server is changed on its way.
  "each other state has its words": {
    broken: html => html.replace("thread.is_waiting || thread.since <= stuckAfter", "true"),
    async run(mutate, browser) {
      const before = Date.now() / 1000 - 600, error = "the disk is broken";
      const states = {
        "The pipeline could not be built": s => Object.assign(s, { state: "failed", since: before, error, status: null }),
        "Starting": s => Object.assign(s, { state: "starting", since: before, status: null }),
        "The run has ended with an error": s => Object.assign(s, { state: "ended", error }),
        "The run has ended": s => Object.assign(s, { state: "ended" }),
        "The pipeline is ending": s => Object.assign(s, { state: "draining" }),
        "The committer is stuck": s => Object.assign(s.status.threads.find(t => t.name === "committer"), { is_waiting: false, since: 200 }),
        "Reading is late": s => Object.assign(s.status, { behind: 300, behind_bytes: 5e9, behind_files: 2 }),
        "Sink stats is late": s => Object.assign(s.status.sinks[0], { lag: 90, waiting: 3, waiting_rows: 10, waiting_bytes: 1000 }),
        "Sink stats has stopped": s => Object.assign(s.status.sinks[0], { state: "stopped", since: before, last_error: error }),
        "Sink stats has not answered yet": s => Object.assign(s.status.sinks[0], { state: "connecting", since: before }),
        "The binlog fills up": s => Object.assign(s.status.sinks[0], { waiting_bytes: s.status.spool_bytes_max * .8 }),
        "Bytes of the log were lost": s => { s.status.lost_bytes = 1000; },
        "The clock jumped": s => { s.status.clock_ahead = 4000; },
        "Many lines are rejected": s => { s.status.rejected = s.status.lines / 2; },
        "The statistic agents still reads older files": s => { s.status.statistics[1].older_files = 3; },
      };
      const page = await open(browser, main.url, { mutate });
      let change = () => {};
      await page.route(asked => asked.pathname === "/status", async route => {
        try {
          const response = await route.fetch(), json = await response.json();
          change(json.sources[0]);
          await route.fulfill({ response, json });
        } catch { /* The page is gone. */ }
      });
      for (const [headline, changed] of Object.entries(states)) {
        change = changed;
        await page.says(headline);
        const reason = await page.text("#verdicts li");
        expect(!/undefined|null|NaN/.test(reason), `${headline}: ${reason}`);
      }
      expect(page.bad.errors.length === 0, `the script fails: ${page.bad.errors.join("; ")}`);
    },
  },
  "markup in keys and lines stays text": {
    broken: html => html.replace("if (run) node.append(run);\n  return node;", "if (run) { node.append(run); node.insertAdjacentHTML('beforeend', run); }\n  return node;"),
    async run(mutate, browser) {
      const page = await open(browser, main.url, { mutate });
      const has = async text => expect((await page.locator("#n-table").innerText()).includes(text), `the table has no key ${text}`);
      await has("/<script>alert(1)</script>");
      await has('/a"><img/src=x/onerror=alert(4)>');
      await choose(page, "agents");
      await has('"><img src=x onerror=alert(2)>');
      await has("<svg onload=alert(3)>");
      await until("a sample of a rejected line", async () => (await page.locator("#samples").textContent()).includes("<b>this</b>"), 30);
      await page.locator("#older summary").click();
      await wait(500);
      expect(await page.locator("script").count() === 1 && await page.locator("img, b, [onload], [onerror]").count() === 0,
        "a key has become an element");
      expect(page.bad.dialogs.length === 0, `a script of the log ran: ${page.bad.dialogs}`);
    },
  },
  "control and bidi characters are shown as codes": {
    broken: html => html.replace("if (!UNSEEN.test(c)) {", "if (true) {"),
    async run(mutate, browser) {
      const page = await open(browser, main.url, { mutate });
      await choose(page, "agents");
      const all = await page.evaluate(() => [document.title, document.body.textContent,
        ...[...document.querySelectorAll("*")].flatMap(node => [...node.attributes].map(attribute => attribute.value))].join("\n"));
      const found = UNSEEN.exec(all.split("<script>")[0].replaceAll("\u202f", " "));
      expect(!found, `U+${found?.[0].codePointAt(0).toString(16)} is in the page`);
      expect((await page.locator("#n-table").innerText()).includes("U+202E"), "the code is not shown");
      expect((await page.locator("#n-table").innerText()).includes("U+001B"), "the code of a control character is not shown");
    },
  },
  "the content policy holds, and nothing is in its way": {
    broken: html => html.replace("<h1>", '<h1 style="color: red">'),
    async run(mutate, browser) {
      const page = await open(browser, main.url, { mutate });
      const policy = (await (await page.request.get(main.url)).headers())["content-security-policy"];
      expect(!policy.includes("unsafe") && policy.includes("default-src 'none'"), `the policy is weak: ${policy}`);
      await choose(page, "sizes");
      await wait(1500);
      expect(page.bad.console.length === 0, `the console has errors: ${page.bad.console.join("; ")}`);
      expect(page.bad.errors.length === 0, `the script fails: ${page.bad.errors.join("; ")}`);
    },
  },
  "no other server is asked": {
    broken: html => html.replace("<h1>", '<img alt="" src="http://127.0.0.1:9/x.png"><h1>'),
    async run(mutate, browser) {
      const page = await open(browser, main.url, { mutate });
      expect(page.bad.foreign.length === 0, `asked: ${page.bad.foreign}`);
    },
  },
  "every control is reached by Tab, and the focus is seen": {
    broken: html => html.replace('button.addEventListener("click", () => { hidden.has',
      'button.tabIndex = -1; button.addEventListener("click", () => { hidden.has'),
    async run(mutate, browser) {
      const page = await open(browser, main.url, { mutate });
      const controls = await page.evaluate(() => {
        const all = [...document.querySelectorAll("a[href], button, input, select, summary")].filter(node => node.checkVisibility());
        all.forEach((node, index) => { node.dataset.control = index; });
        return all.map(node => `${node.tagName} ${node.id || node.textContent.trim().slice(0, 30)}`);
      });
      const reached = new Set();
      for (let step = 0; step < controls.length + 20; step++) {
        await page.keyboard.press("Tab");
        const seen = await page.evaluate(() => {
          const node = document.activeElement, style = getComputedStyle(node);
          return { index: node.dataset.control, name: node.id || node.textContent.slice(0, 30), isSeen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 1,
            isBody: node === document.body };
        });
        if (seen.isBody) break;
        expect(seen.isSeen, `the focus on ${seen.name} is not seen`);
        if (seen.index) reached.add(Number(seen.index));
      }
      // The links under the table are made anew with it, so they are looked at by their text.
      const missed = controls.filter((name, index) => !reached.has(index) && !/^A (JSON|CSV)/.test(name));
      expect(missed.length === 0, `Tab does not reach ${missed.join(", ")}`);
    },
  },
  "every control works by keyboard": {
    broken: html => html.replace('$("time").addEventListener("input"', '$("time").addEventListener("click"'),
    async run(mutate, browser) {
      const page = await open(browser, main.url, { mutate });
      await page.focus("#n-statistic");
      await page.keyboard.press("ArrowDown");
      await until("an arrow chooses the next statistic", async () => (await page.text("#n-table thead")).includes("http_user_agent"));
      await page.keyboard.press("ArrowUp");
      await until("an arrow chooses the one before", async () => (await page.text("#n-table thead")).includes("page"));
      await page.focus("#n-by input[value=status]");
      await page.keyboard.press("Space");
      await until("Space groups by one more column", async () => (await page.text("#n-table thead")).includes("status"));
      await page.keyboard.press("Space");
      await page.focus("#time");
      const moment = await page.text("#moment");
      await page.keyboard.press("ArrowLeft");
      expect(await page.text("#moment") !== moment, "an arrow does not move the moment in the plot");
      expect(/: .* \d/.test(await page.getAttribute("#time", "aria-valuetext")), "the slider does not say the values");
      await page.focus("#legend button");
      await page.keyboard.press("Enter");
      expect(await page.locator("#legend button").first().getAttribute("aria-pressed") === "false", "Enter does not hide a line of the plot");
      await page.locator("#statistics button").nth(3).focus();
      await wait(2500);
      expect(await page.evaluate(() => document.activeElement.textContent) === "Show numbers", "an update takes the focus away");
      await page.keyboard.press("Enter");
      await until("Enter shows the numbers of visitors", async () => (await page.text("#n-table thead")).includes("different remote_addr"));
      expect(await page.evaluate(() => document.activeElement.id) === "n-statistic", "the focus does not follow to the numbers");
    },
  },
  "the numbers are those of the sink": {
    broken: html => html.replace("text: g => exact(g.measures[name])", "text: g => whole(g.measures[name] / 3)"),
    async run(mutate, browser) {
      const page = await open(browser, main.url, { mutate });
      const link = await page.locator("#n-notes a").first().getAttribute("href");
      const answer = await (await page.request.get(link)).json();
      const shown = await page.locator("#n-table tbody tr").first().locator("td, th").allInnerTexts();
      const digits = Number(shown[1].replace(/\D/g, "")), count = Number(answer.groups[0].measures.count);
      // Lines have come since.
      expect(shown[0] === answer.groups[0].keys.page && digits <= count && digits > count * .9, `${shown} is shown for ${JSON.stringify(answer.groups[0])}`);
      await choose(page, "sizes");
      expect((await page.text("#n-table")).includes("99 % of body_bytes_sent"), "there are no quantiles");
      await choose(page, "visitors");
      const estimate = Number(/≈ ([\d\u202f]+)/.exec(await page.text("#n-table"))?.[1].replace(/\D/g, ""));
      expect(estimate > 200 && estimate < 300, `about 250 visitors are ${estimate}`);
      const csv = await (await page.request.get(await page.getByText("CSV", { exact: true }).getAttribute("href"))).text();
      expect(csv.startsWith("window_start,"), "the link to CSV does not lead to CSV");
    },
  },
  "a host may nest it": {
    broken: html => html.replace('location.origin + location.pathname.replace(/\\/*$/, "/")', 'location.origin + "/"'),
    async run(mutate, browser) {
      for (const path of ["/evs", "/evs/"]) {
        const page = await open(browser, main.url, { mutate, path, ready: false });
        const asked = [];
        page.on("request", request => asked.push(new URL(request.url()).pathname));
        await page.waitForSelector("#n-table tbody tr");
        await wait(1500);
        expect(asked.length > 0 && asked.every(path => path.startsWith("/evs/")), `${path}: asked ${asked}`);
        await page.context().close();
      }
    },
  },
  "it asks for a token": {
    broken: html => html.replace('try { return sessionStorage.getItem("evs-token"); } catch { return null; }', "return null;"),
    async run(mutate, browser) {
      const page = await open(browser, second.url, { mutate, ready: false });
      await page.waitForSelector("#token:not([hidden])");
      expect(await page.locator("#main").isHidden(), "something is shown without a token");
      expect(await page.evaluate(() => document.activeElement.id) === "token-text", "the field has no focus");
      await page.keyboard.type("wrong");
      await page.keyboard.press("Enter");
      await until("it says that the token is wrong", async () => (await page.text("#token-problem")).includes("does not accept"));
      await page.fill("#token-text", TOKEN);
      await page.keyboard.press("Enter");
      await page.waitForSelector("#n-table tbody tr");
      expect(await page.locator("#token").isHidden(), "the form stays");
      const [download] = await Promise.all([page.waitForEvent("download"), page.getByText("CSV", { exact: true }).click()]);
      expect((await download.suggestedFilename()) === "requests.csv", `the CSV is called ${download.suggestedFilename()}`);
      await page.reload();
      await page.waitForSelector("#n-table tbody tr");
    },
  },
  "several sources: a switch by arrows": {
    broken: html => html.replace('radio.addEventListener("change", () => { chosen = source; render(); });', ""),
    async run(mutate, browser) {
      const page = await open(browser, second.url, { mutate, ready: false });
      await page.fill("#token-text", TOKEN);
      await page.keyboard.press("Enter");
      await page.waitForSelector("#n-table tbody tr");
      expect(await page.locator(".verdict").count() === 2, "there are not two verdicts");
      await page.locator("input[name=source]").first().focus();
      await page.keyboard.press("ArrowDown");
      await until("the numbers are those of web2", async () => (await page.locator("#n-notes a").first().getAttribute("href")).includes("source=web2"));
    },
  },
  "no scrolling sideways at the width of a phone": {
    broken: html => html.replace("body { margin: 0 auto;", "body { min-width: 420px; margin: 0 auto;"),
    async run(mutate, browser) {
      const page = await open(browser, main.url, { mutate, width: 360 });
      for (const statistic of ["requests", "agents", "sizes", "visitors", "errors"]) {
        await choose(page, statistic);
        const [has, needs] = await page.evaluate(() => [document.documentElement.clientWidth, document.documentElement.scrollWidth]);
        expect(needs <= has, `${statistic}: the page is ${needs} px wide, the screen ${has}`);
      }
    },
  },
  "light and dark have contrast": {
    broken: html => html.replace("--ink: #e2e9ec; --soft: #9fadb4;", "--ink: #e2e9ec; --soft: #5a666c;"),
    async run(mutate, browser) {
      for (const dark of [false, true]) {
        const page = await open(browser, main.url, { mutate, dark });
        const ground = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor.match(/\d+/g).map(Number));
        expect(dark ? Math.max(...ground) < 60 : Math.min(...ground) > 200, `${dark ? "dark" : "light"}: the ground is ${ground}`);
        for (const state of ["healthy", "sink-down"]) {
          main.state(state);
          await until(`the headline is that of ${state}`, async () => (await page.headline() === UP_TO_DATE) === (state === "healthy"), 90);
          const low = await page.evaluate(lowContrast);
          expect(low.length === 0, `${dark ? "dark" : "light"}, ${state}: ${low.join("; ")}`);
        }
        main.state("healthy");
        await page.context().close();
      }
    },
  },
  "nothing moves while it updates": {
    broken: html => html.replace("function renderConnection() {", 'function renderConnection() {\n  document.body.style.paddingTop = (Date.now() / 20 % 80) + "px";'),
    async run(mutate, browser) {
      const page = await open(browser, main.url, { mutate });
      await page.says(UP_TO_DATE, 60);
      await wait(3000);
      const moved = await page.evaluate(() => new Promise(done => {
        let sum = 0;
        new PerformanceObserver(list => { for (const entry of list.getEntries()) sum += entry.value; }).observe({ type: "layout-shift" });
        setTimeout(() => done(sum), 6000);
      }));
      expect(moved < .01, `the layout moved by ${moved.toFixed(3)}`);
    },
  },
  // The last one: it ends a server.
  "a server that is gone is not taken for one that is well": {
    broken: html => html.replace("      for (const nodes of verdicts.values()) {", "      for (const nodes of []) {"),
    async run(mutate, browser) {
      const server = await start();
      const page = await open(browser, server.url, { mutate });
      await page.says(UP_TO_DATE, 60);
      server.stop();
      await until("it says so", async () => /does not answer.*\d+\ss old/.test(await page.text("#connection")), 20);
      await until("the headline says so", async () => (await page.headline()).startsWith("Unknown since "), 10);
    },
  },
};

const browser = await chromium.launch({ executablePath: options.browser, args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync"] });

async function pictures(directory) {
  const server = await start();
  for (const [state, seconds, name, look] of [["healthy", 30, "page-healthy", {}], ["sink-down", 20, "page-sink-down", { width: 360, dark: true }]]) {
    const page = await open(browser, server.url, look);
    server.state(state);
    await wait(1000 * seconds);
    // Of the narrow page, the first screens are enough.
    const part = look.width ? { clip: { x: 0, y: 0, width: look.width, height: 1100 } } : {};
    await page.screenshot({ path: `${directory}/${name}.png`, fullPage: true, ...part });
    await page.context().close();
  }
}

let failed = 0;
try {
  if (options.pictures) {
    await pictures(options.pictures);
  } else {
    main = await start();
    second = await start("--sources", "2", "--token", TOKEN);
    for (const [name, { run, broken }] of Object.entries(CHECKS)) {
      if (options.only && !name.includes(options.only)) continue;
      let problem = null;
      try { await run(options.prove ? broken : null, browser); } catch (error) { problem = error.message.split("\n")[0].slice(0, 400); }
      for (const context of browser.contexts()) await context.close();
      const isBlind = /the page was not broken/.test(problem);
      const passes = options.prove ? problem !== null && !isBlind : problem === null;
      failed += passes ? 0 : 1;
      console.log(passes ? `ok      ${name}` : `FAILED  ${name}`);
      if (problem) console.log(`        ${options.prove && passes ? "fails as it should: " : ""}${problem}`);
      else if (options.prove) console.log("        does not notice that the page is broken");
    }
    const well = options.prove ? "each check fails on the page that is broken for it" : "the page passes all checks";
    console.log(failed ? `\n${failed} of the checks failed` : `\n${well}`);
  }
} finally {
  await browser.close();
  for (const server of servers) server.kill();
}
process.exit(failed ? 1 : 0);

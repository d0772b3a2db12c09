// What people do on the page: each check goes the whole way, and looks at what became of it.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { claim, picture, signIn, visit } from "./browser.mjs";

/// The lines of the route `journal`, each a message.
function messages() {
  try {
    const text = readFileSync(join(process.env.FILES, "alerts.jsonl"), "utf8");
    return text.split("\n").filter(Boolean);
  } catch {
    return [];
  }
}

/// Waits until something is there.
async function until(what, look) {
  const end = Date.now() + 120_000;
  for (;;) {
    const found = await look();
    if (found) return found;
    claim(Date.now() < end, `not within two minutes: ${what}`);
    await new Promise((again) => setTimeout(again, 250));
  }
}

export const using = {
  "approving an asset resolves its finding and tells that it is over": async (browser) => {
    const { page, watched } = await visit(browser);
    await signIn(page, "approver");
    await page.goto("/findings?q=rule:device.unregistered+and+state:open");
    const asset = await page.locator("main tbody a[href^='/assets/']").first().getAttribute("href");
    await page.goto(asset);
    const name = (await page.textContent("h1")).trim();
    claim((await page.textContent("main")).includes("unregistered"), `${name} is registered already`);
    await page.click("main a[href^='/decide']");
    // Nothing is decided by a key that was pressed by mistake.
    await page.fill("input[name=reason]", "bought by the branch office");
    await page.press("input[name=reason]", "Enter");
    claim(new URL(page.url()).pathname === "/decide", "decided without a verdict");
    await page.selectOption("select[name=verdict]", "approved");
    await picture(page, "decide");
    await page.click("main form button.main");
    await page.waitForURL((url) => url.pathname !== "/decide");
    await page.goto(asset);
    const facts = await page.textContent("dl.facts");
    claim(facts.includes("registered") && !facts.includes("unregistered"), `still: ${facts}`);
    const states = await page.locator("main section:has(table)").first().locator("tbody tr").allTextContents();
    const own = states.filter((row) => row.includes("not in the device register") || row.includes("resolved"));
    claim(own.some((row) => row.includes("resolved")), `no finding of it is resolved: ${states}`);
    const lanes = await page.locator("svg.timeline").textContent();
    claim(/decided/.test(lanes) && /resolved/.test(lanes), `the time line has neither or not both: ${lanes}`);
    await picture(page, "timeline");
    // Who approved, and why, is in the audit.
    await page.goto("/audit");
    const audit = await page.textContent("main tbody tr");
    claim(audit.includes("approver") && audit.includes("bought by the branch office"), `the audit: ${audit}`);
    await until("a message that it is over", () =>
      messages().some((line) => line.includes('"over"') && line.includes(name)));
    watched.check();
  },

  "a viewer decides nothing": async (browser) => {
    const { page, watched } = await visit(browser);
    await signIn(page, "viewer");
    await page.goto("/assets/1");
    claim((await page.locator("a[href^='/decide']").count()) === 0, "there is a way to decide");
    const answer = await page.goto("/decide?asset=1");
    claim(answer.status() === 403, `the form is there: ${answer.status()}`);
    watched.check();
  },

  "a finding says why, is accepted, and is open again": async (browser) => {
    const { page, watched } = await visit(browser);
    await signIn(page, "approver");
    await page.goto("/findings?q=rule:device.unregistered+and+state:open");
    await page.locator("main tbody a[href^='/findings/']").first().click();
    await page.waitForSelector("#why table");
    const finding = page.url();
    claim((await page.locator("#why a[href$='/observations']").count()) === 1, "no way to the observations");
    // A day that is over comes back with what was typed, and says so beside the field.
    await page.fill("#acceptance input[name=reason]", "a guest of the <b>week</b>");
    await page.fill("#acceptance input[name=until]", "2020-01-01");
    await page.click("#acceptance button.main");
    await page.waitForSelector("#acceptance-until-wrong");
    const kept = await page.inputValue("#acceptance input[name=reason]");
    claim(kept === "a guest of the <b>week</b>", `the reason became ${kept}`);
    const focus = await page.evaluate(() => document.activeElement.name);
    claim(focus === "until", `the field to mend has no focus, but ${focus}`);
    await page.fill("#acceptance input[name=until]", "2099-12-31");
    await page.click("#acceptance button.main");
    await page.waitForSelector("#reopening");
    claim((await page.textContent("dl.facts")).includes("2099-12-31"), "it is not accepted until then");
    await page.fill("#reopening input[name=reason]", "the guest stays");
    await page.click("#reopening button.main");
    await page.waitForSelector("#acceptance");
    claim(page.url() === finding, `led to ${page.url()}`);
    const said = await page.textContent("main");
    claim(said.includes("the guest stays") && said.includes("open"), "nothing tells that it is open again");
    watched.check();
  },

  "times are in one zone, which the page names": async (browser) => {
    const { page, watched } = await visit(browser, { timezoneId: "Asia/Tokyo", locale: "en-US" });
    await signIn(page);
    for (const path of ["/", "/assets", "/assets/1", "/audit"]) {
      await page.goto(path);
      claim((await page.textContent("#zone")) === "Asia/Tokyo", `${path} names no zone`);
      const said = await page.textContent("main");
      claim(!/\d\d:\d\d UTC/.test(said), `${path} has moments in UTC as well`);
      const times = await page.locator("main time").allTextContents();
      const odd = times.find((time) => !/^\d{4}-\d\d-\d\d \d\d:\d\d$/.test(time));
      claim(odd === undefined, `${path} has ${odd}`);
    }
    watched.check();
  },

  "a register is looked at before it is replaced": async (browser) => {
    const { page, watched } = await visit(browser);
    await signIn(page, "approver");
    await page.goto("/registers");
    const upload = async (lines) => {
      await page.selectOption("select[name=kind]", "software");
      await page.setInputFiles("input[name=file]", {
        name: "list-of-the-office.csv", mimeType: "text/csv", buffer: Buffer.from(lines.join("\n")),
      });
      await page.click("main form button.main");
    };
    const first = ["product,status,remark", "OpenSSH,approved,kept", "telnetd,prohibited,<b>old</b>"];
    await upload(first);
    await page.waitForSelector("h1");
    const preview = await page.textContent("main");
    claim(preview.includes("telnetd"), `no preview: ${preview.slice(0, 300)}`);
    await picture(page, "preview");
    // Until it is confirmed everything is as it was.
    await page.goto("/registers");
    claim(!(await page.textContent("main")).includes("list-of-the-office.csv"), "replaced without being asked");
    await upload(first);
    await page.click("form[action='/registers/import'] button");
    await page.waitForSelector("h1");
    await page.goto("/registers");
    claim((await page.textContent("main")).includes("list-of-the-office.csv"), "the register was not replaced");
    // What is no register is said, and changes nothing.
    await upload(["nothing,known", "1,2"]);
    const said = await page.textContent("main");
    claim(/heading|column/i.test(said), `a file without a known heading: ${said.slice(0, 200)}`);
    watched.check();
  },

  "a scan is followed while it runs": async (browser) => {
    const { page, watched } = await visit(browser);
    await signIn(page);
    await page.goto("/jobs");
    await page.click("form[action='/jobs/loopback/run'] button");
    const scan = await until("the scan", async () => {
      await page.goto("/scans");
      const row = page.locator("main tbody tr", { hasText: "127.0.0.1" }).first();
      return (await row.count()) ? row.locator("a").first().getAttribute("href") : null;
    });
    await page.goto(scan);
    const seen = new Set();
    await picture(page, "running");
    await until("its end", async () => {
      const bar = page.locator("#progress");
      if (await bar.count()) seen.add(await bar.evaluate((one) => one.value).catch(() => 0));
      const text = await page.textContent("main").catch(() => "");
      return !(await bar.count()) && /complete/.test(text);
    });
    claim(seen.size >= 2, `progress was ${[...seen]}`);
    const values = [...seen];
    claim(values.every((value, at) => at === 0 || value >= values[at - 1]), `it went back: ${values}`);
    watched.check();
  },

  "a search that cannot be read shows its wrong word": async (browser) => {
    const { page, watched } = await visit(browser);
    await signIn(page);
    await page.goto("/assets");
    await page.fill("input[name=q]", "class:printer and colour:blue");
    await page.keyboard.press("Enter");
    await page.waitForSelector("mark");
    claim((await page.textContent("mark")).includes("colour"), "another word is marked");
    const invalid = await page.getAttribute("input[name=q]", "aria-invalid");
    claim(invalid === "true", "the field does not say so");
    await page.fill("input[name=q]", "class:printer and not registration:registered or name:<img src=x onerror=alert(1)>");
    await page.keyboard.press("Enter");
    await page.waitForSelector("h1");
    watched.check();
  },

  "columns, order and pages stand in the address": async (browser) => {
    const { page, watched } = await visit(browser);
    await signIn(page);
    await page.goto("/assets?rows=10");
    const first = await page.locator("main tbody tr").first().textContent();
    await page.click("a[rel=next]");
    await page.waitForURL(/after=/);
    const second = await page.locator("main tbody tr").first().textContent();
    claim(first !== second, "the second page is the first");
    await page.goto("/assets?columns=name,class&sort=-name");
    const headings = await page.locator("main thead th").allTextContents();
    claim(headings.length === 2, `columns: ${headings}`);
    claim((await page.locator("th[aria-sort=descending]").count()) === 1, "nothing says how it is sorted");
    watched.check();
  },

  "a list is saved, found again and shared": async (browser) => {
    const { page, watched } = await visit(browser);
    await signIn(page);
    await page.goto("/assets?q=class:printer&sort=-name&columns=id,name");
    const save = async (name, shared) => {
      await page.click("main details:has(form[action='/views']) summary");
      await page.fill("form[action='/views'] input[name=name]", name);
      if (shared) await page.check("form[action='/views'] input[name=shared]");
      await page.press("form[action='/views'] input[name=name]", "Enter");
      await page.waitForSelector("main nav a[aria-current=page]");
    };
    await save("<b>Printers</b>", false);
    await save("Printers of all", true);
    await page.goto("/assets");
    claim((await page.locator("main nav a[aria-current]").count()) === 0, "a view is shown as the whole list");
    await page.click("main nav a:has-text('<b>Printers</b>')");
    claim(new URL(page.url()).search.includes("columns=id%2Cname"), `the view is ${page.url()}`);
    claim((await page.locator("main thead th").count()) === 2, "other columns than were saved");
    const { page: other } = await visit(browser);
    await signIn(other, "viewer");
    await other.goto("/assets");
    const seen = await other.locator("main nav").first().textContent();
    claim(seen.includes("Printers of all") && !seen.includes("<b>"), `somebody else sees ${seen}`);
    await other.goto("/views");
    claim((await other.locator("main form").count()) === 0, "a viewer may change what is shared");
    watched.check();
  },

  "a certificate is reached from the calendar and taken along": async (browser) => {
    const { page, watched } = await visit(browser);
    await signIn(page);
    await page.goto("/certificates/calendar");
    for (let month = 0; month < 14; month += 1) {
      if (await page.locator("table.calendar a").count()) break;
      await page.click("main a[rel=next]");
      await page.waitForSelector("table.calendar");
    }
    const count = Number(await page.locator("table.calendar a").first().textContent());
    await page.locator("table.calendar a").first().click();
    await page.waitForURL("**/certificates?q=*");
    const asked = await page.inputValue("input[type=search]");
    claim(/^expires:\d{4}-\d{2}-\d{2} and places>0$/.test(asked), `the day is asked for by ${asked}`);
    const rows = await page.locator("main tbody tr").count();
    claim(rows === count, `the calendar says ${count}, the day has ${rows}`);
    await page.locator("main tbody a[href^='/certificates/']").first().click();
    await page.waitForSelector("dl.facts");
    const coming = page.waitForEvent("download");
    await page.click("main a[href$='/pem']");
    const file = readFileSync(await (await coming).path(), "utf8");
    claim(/^-----BEGIN CERTIFICATE-----\n[\w+/=\n]+-----END CERTIFICATE-----\n$/.test(file), `the file is ${file.slice(0, 80)}`);
    watched.check();
  },

  "the map leads to an asset by the keyboard": async (browser) => {
    const { page, watched } = await visit(browser);
    await signIn(page);
    await page.goto("/map");
    const blocks = await page.locator("figure.block").count();
    claim(blocks >= 3, `${blocks} blocks`);
    const shapes = await page.locator("p.legend .key").count();
    claim(shapes === 5, "the shapes are not explained");
    await page.locator("figure.block > a").first().focus();
    await page.keyboard.press("Enter");
    await page.waitForURL(/map\/block/);
    await page.locator("svg.cells a").first().focus();
    await page.keyboard.press("Enter");
    await page.waitForURL(/\/assets\/\d+$/);
    claim((await page.locator("svg.timeline circle").count()) > 0, "nothing is on the time line");
    watched.check();
  },
};

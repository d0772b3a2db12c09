// What holds of every page: that it is there, can be read, and does nothing that it may not.

import { claim, picture, signIn, visit } from "./browser.mjs";

/// Pages that are not the first of a list: where there is a link to one, and how it begins.
const BEHIND = [
  ["/certificates", "/certificates/calendar"],
  ["/map", "/map/block"],
  ["/assets", "/views"],
  ["/assets/1", "/assets/1/events"],
  ["/assets/1", "/assets/1/observations"],
  ["/scans", "/scans?before="],
  ["/audit", "/audit?before="],
];

/// The pages that the navigation leads to, the first of what each of them lists, and those behind.
async function find(page) {
  const parts = await page.locator("header nav a").evaluateAll((all) => all.map((a) => a.getAttribute("href")));
  claim(parts.length >= 10, `the navigation has ${parts.length} parts`);
  const all = new Set(parts);
  for (const part of parts) {
    await page.goto(part);
    const inside = await page.locator("main tbody a[href^='/']").evaluateAll((all) => all.map((a) => a.getAttribute("href")));
    const one = inside.find((path) => path.startsWith(`${part}/`) && !path.includes("export"));
    if (one) all.add(one);
  }
  for (const [from, to] of BEHIND) {
    await page.goto(from);
    const links = await page.locator("main a").evaluateAll((all) => all.map((a) => a.getAttribute("href")));
    const one = links.find((path) => path?.startsWith(to) && !path.endsWith(".ics"));
    // An organisation of nine days has too little of some things for a second page.
    if (one) all.add(one);
    else claim(/before=|events|observations/.test(to), `${from} does not lead to ${to}`);
  }
  return [...all];
}

/// The same for every check: they are looked for once.
let found;
const pages = async (page) => (found ??= await find(page));

/// What is wrong with a page for those who cannot see it or use no mouse.
const unlabelled = () => {
  const faults = [];
  const named = (element) =>
    element.labels?.length || element.getAttribute("aria-label") || element.getAttribute("aria-labelledby");
  for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
    if (!named(field)) faults.push(`no label: ${field.outerHTML.slice(0, 80)}`);
  }
  for (const button of document.querySelectorAll("button, a[href]")) {
    const text = button.textContent.trim() || button.getAttribute("aria-label") || button.title;
    if (!text && !button.querySelector("title")) faults.push(`no name: ${button.outerHTML.slice(0, 80)}`);
  }
  for (const image of document.querySelectorAll("img")) {
    if (!image.hasAttribute("alt")) faults.push(`no words for ${image.src}`);
  }
  if (document.querySelectorAll("h1").length !== 1) faults.push("not one h1");
  if (document.querySelectorAll("main").length !== 1) faults.push("not one main");
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of ids) {
    if (ids.indexOf(id) !== ids.lastIndexOf(id)) faults.push(`twice: #${id}`);
  }
  if (document.querySelectorAll("[style], script:not([src]), style").length) faults.push("style or script in the page");
  return faults;
};

/// Letters that are hard to read: less than 4.5 to 1 against what is behind them (WCAG 2.1, 1.4.3).
const faint = () => {
  const light = ([r, g, b]) => {
    const part = (value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    };
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const parse = (text) => {
    const numbers = text.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0, 0];
    return { colour: numbers.slice(0, 3), alpha: numbers.length > 3 ? numbers[3] : 1 };
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const { colour, alpha } = parse(getComputedStyle(at).backgroundColor);
      if (alpha === 1) return colour;
    }
    return matchMedia("(prefers-color-scheme: dark)").matches ? [0, 0, 0] : [255, 255, 255];
  };
  const faults = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const element = node.parentElement;
    if (!node.textContent.trim() || element.closest("svg, option") || !element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const { colour } = parse(style.color);
    const [low, high] = [light(colour), light(behind(element))].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    if (ratio < 4.5) faults.add(`${ratio.toFixed(1)}: ${node.textContent.trim().slice(0, 30)}`);
  }
  return [...faults].slice(0, 5);
};

/// What a page's picture is called: a certificate by no hash, which is another one each time.
const name = (path) =>
  path.split("?")[0].replace(/^\//, "").replace(/[0-9a-f]{64}/, "one").replace(/^findings\/\d+$/, "findings-one").replaceAll("/", "-") || "overview";

/// Each page in one language: what is wrong is told with the page's path.
async function everyPage(browser, { language, words, scheme, suffix }) {
  const { page, watched } = await visit(browser, { locale: language, colorScheme: scheme });
  await signIn(page);
  const all = await pages(page);
  const faults = [];
  for (const path of all) {
    const response = await page.goto(path);
    if (response.status() !== 200) faults.push(`${path}: ${response.status()}`);
    const said = await page.getAttribute("html", "lang");
    if (!language.startsWith(said)) faults.push(`${path} is in ${said}`);
    const title = await page.textContent("h1");
    const isList = path.split("/").length < 3 || path.startsWith("/certificates/calendar");
    if (isList && words && !words.test(title)) faults.push(`${path} is headed ${title}`);
    for (const fault of await page.evaluate(unlabelled)) faults.push(`${path}: ${fault}`);
    for (const fault of await page.evaluate(faint)) faults.push(`${path}: faint ${fault}`);
    await picture(page, `${name(path)}${suffix}`);
  }
  claim(!faults.length, faults.slice(0, 12).join("; "));
  watched.check();
}

export const everywhere = {
  "every page in English": (browser) =>
    everyPage(browser, { language: "en-GB", scheme: "light", suffix: "-en" }),

  "every page in Japanese and in the dark": (browser) =>
    everyPage(browser, {
      language: "ja-JP",
      words: /[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}]/u,
      scheme: "dark",
      suffix: "-ja",
    }),

  "every page on a phone": async (browser) => {
    const { page, watched } = await visit(browser, { viewport: { width: 390, height: 844 } });
    await signIn(page);
    const wide = [];
    for (const path of await pages(page)) {
      await page.goto(path);
      const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      if (over > 1) wide.push(`${path} is ${over} px too wide`);
    }
    await page.goto("/map");
    await picture(page, "phone");
    claim(!wide.length, wide.join("; "));
    watched.check();
  },

  "every page on a small desk": async (browser) => {
    const { page, watched } = await visit(browser, { viewport: { width: 1280, height: 800 } });
    await signIn(page);
    const wide = [];
    for (const path of await pages(page)) {
      await page.goto(path);
      // What is drawn may be moved to and fro; tables that are read have to fit.
      const over = await page.evaluate(() => {
        const boxes = [document.documentElement, ...document.querySelectorAll(".scroll:has(table)")];
        return Math.max(...boxes.map((box) => box.scrollWidth - box.clientWidth));
      });
      if (over > 1) wide.push(`${path} is ${over} px too wide`);
    }
    claim(!wide.length, wide.join("; "));
    watched.check();
  },

  "every page without scripts": async (browser) => {
    const { page } = await visit(browser, { javaScriptEnabled: false });
    await signIn(page);
    for (const path of await pages(page)) {
      const response = await page.goto(path);
      claim(response.status() === 200, `${path}: ${response.status()}`);
      const text = (await page.textContent("main")).trim();
      claim(text.length > 20, `${path} shows nothing but ${text}`);
    }
  },

  "by the keyboard alone": async (browser) => {
    const { page, watched } = await visit(browser);
    await page.goto("/login");
    // The name's field has the focus.
    await page.keyboard.type("admin");
    await page.keyboard.press("Tab");
    await page.keyboard.type(process.env.PASSWORD);
    await page.keyboard.press("Enter");
    await page.waitForURL((url) => url.pathname === "/");
    await page.keyboard.press("Tab");
    const skip = await page.evaluate(() => document.activeElement.className);
    claim(skip === "skip", `the first stop is ${skip}, not the way to the content`);
    await page.keyboard.press("Enter");
    const content = await page.evaluate(() => location.hash);
    claim(content === "#content", "the way to the content leads elsewhere");
    // Every part of the navigation can be reached, and is seen to be.
    await page.goto("/");
    const parts = await page.locator("header nav a").count();
    const reached = new Set();
    for (let stop = 0; stop < parts + 5; stop += 1) {
      await page.keyboard.press("Tab");
      const { path, seen } = await page.evaluate(() => {
        const style = getComputedStyle(document.activeElement);
        return {
          path: document.activeElement.closest("header nav a")?.getAttribute("href"),
          seen: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0,
        };
      });
      if (path) {
        claim(seen, `nothing shows that ${path} has the focus`);
        reached.add(path);
      }
    }
    claim(reached.size === parts, `${reached.size} of ${parts} parts are reached`);
    watched.check();
  },

  "who has not signed in sees nothing": async (browser) => {
    const { page } = await visit(browser);
    await signIn(page);
    const all = await pages(page);
    await page.context().clearCookies();
    for (const path of all) {
      await page.goto(path);
      claim(new URL(page.url()).pathname === "/login", `${path} is shown to strangers`);
    }
  },
};

// Signing in by OpenID Connect, at a real provider (Glewlwyd) with its own pages. Begun by
// tests/e2e/oidc.rs. The page is asked for by an address and the provider by a name, so that the
// browser holds them for two sites, as it does in an office.

import { base, claim, picture, run, visit } from "./browser.mjs";

const provider = process.env.PROVIDER_URL;

/// From the sign-in page of ours through the provider's, as somebody.
async function through(page, name, path = "/scans") {
  await page.goto(path);
  claim(new URL(page.url()).pathname === "/login", `no sign-in page but ${page.url()}`);
  await page.click("form[action='/login/oidc'] button");
  await page.waitForURL((url) => url.href.startsWith(provider));
  await page.fill("#username", name);
  await page.fill("#password", process.env.PASSWORD);
  await page.click("#loginbut");
  // The provider asks whether to go on.
  const on = page.locator("#continueBut, button:has-text('Continue')").first();
  await Promise.race([on.waitFor(), page.waitForURL((url) => url.href.startsWith(base))]);
  if (!page.url().startsWith(base)) await on.click();
  await page.waitForURL((url) => url.href.startsWith(base));
}

/// The browser is sent nowhere else.
function watch(page) {
  const asked = [];
  page.on("request", (request) => {
    const known = [base, provider, "data:"].some((start) => request.url().startsWith(start));
    if (!known) asked.push(request.url());
  });
  return () => claim(asked.length === 0, `asked ${asked}`);
}

const there = {
  "whoever signs in at the provider is led back to the page they wanted": async (browser) => {
    const { context, page } = await visit(browser);
    const check = watch(page);
    await through(page, "sato");
    await page.waitForURL((url) => url.pathname === "/scans");
    const who = (await page.textContent("header .self a")).trim();
    claim(who === "oidc:sato (operator)", `signed in as ${who}`);
    const cookies = await context.cookies(base);
    const session = cookies.find((cookie) => cookie.name === "__Host-daicho");
    claim(session.sameSite === "Strict" && session.httpOnly && session.secure, JSON.stringify(session));
    claim(!cookies.some((cookie) => cookie.name === "__Host-daicho-flow"), "the flow's cookie stayed");
    // What it signs in by is not kept here.
    await page.goto("/account");
    claim((await page.locator("input[type=password]").count()) === 0, "there is a password to change");
    await picture(page, "account-oidc");
    // Signing out leads to signing out there, for whoever wants that.
    await page.click("header .self form button");
    await page.waitForURL((url) => url.pathname === "/login");
    const link = page.locator("main p.notice a");
    claim((await link.getAttribute("href")).startsWith(`${provider}/api/oidc/end_session?`), "no way out");
    await picture(page, "login-oidc");
    await page.goto("/scans");
    claim(new URL(page.url()).pathname === "/login", `still signed in: ${page.url()}`);
    check();
  },

  "whoever has no role is known there and stays outside here": async (browser) => {
    const { context, page } = await visit(browser, { locale: "ja-JP" });
    await through(page, "abe");
    const said = await page.textContent("main .notice");
    claim(said.includes("利用は許可されていません"), said);
    const cookies = await context.cookies(base);
    claim(!cookies.some((cookie) => cookie.name === "__Host-daicho"), "there is a session");
  },

  "what comes back without having been begun lets nobody in": async (browser) => {
    const { page } = await visit(browser);
    await page.goto("/login/oidc?state=x&code=y&iss=z");
    const said = await page.textContent("main .notice");
    claim(said.includes("did not succeed"), said);
  },
};

const gone = {
  "a provider that is away is said to be, and passwords work": async (browser) => {
    const { page } = await visit(browser);
    await page.goto("/login");
    await page.click("form[action='/login/oidc'] button");
    const said = await page.textContent("main .notice");
    claim(said.includes("cannot be reached"), said);
    await page.fill("input[name=name]", "admin");
    await page.fill("input[name=password]", process.env.PASSWORD);
    await page.click("form[action='/login'] button");
    await page.waitForURL((url) => url.pathname === "/");
    // An admin sees where each user comes from.
    await page.goto("/users");
    const rows = await page.locator("main table").first().textContent();
    claim(rows.includes("oidc:sato") && rows.includes("Sato Kenji") && rows.includes(provider), rows);
    await picture(page, "users-oidc");
  },
};

await run(process.env.GONE ? gone : there);

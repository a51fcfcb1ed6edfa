"use strict";
// What visitors look at, search for and click, told to the shop under a random name: only after they said yes, never
// where the browser says no for them, and never in the way of the page. Nothing is stored before there is an answer.
(() => {
  const ADDRESS = "/api/v1/events";
  const CHOICE = "consent", NAME = "visitor";
  const WATCHED = { home: "home", product: "product", browse: "category" };
  const BATCH = 20, MOST_WAITING = 60, MOST_PER_PAGE = 400, EVERY_MS = 10_000, LONGEST_QUERY = 100, DAY_MS = 86_400_000;

  const { locale, page: kind } = document.body.dataset;
  const refusal = navigator.globalPrivacyControl === true || [navigator.doNotTrack, window.doNotTrack].includes("1");

  // Browsers may forbid storage altogether: then there is no answer, and nothing is recorded.
  const stored = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  const store = (name, value) => {
    try { value === null ? localStorage.removeItem(name) : localStorage.setItem(name, value); } catch { /* as above */ }
  };
  const choice = () => refusal ? "signal" : stored(CHOICE) ?? "none";

  // --- what is told ---

  let waiting = [], told = 0, timer = 0, watcher = null;
  const shown = new Set();

  const visitor = () => {
    let name = stored(NAME);
    if (!/^[A-Za-z0-9_-]{22}$/.test(name ?? "")) {
      const bytes = crypto.getRandomValues(new Uint8Array(16));
      name = btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
      store(NAME, name);
    }
    return name;
  };

  const send = () => {
    clearTimeout(timer);
    timer = 0;
    if (choice() !== "yes") waiting = [];
    while (waiting.length) {
      const events = waiting.splice(0, BATCH).map(({ at, ...event }) => (
        { ...event, age_ms: Math.min(DAY_MS, Math.max(0, Math.round(performance.now() - at))) }
      ));
      const body = JSON.stringify({ consent: true, visitor: visitor(), events });
      if (navigator.sendBeacon?.(ADDRESS, body)) continue;
      fetch(ADDRESS, { method: "POST", body, keepalive: true, credentials: "omit" }).catch(() => {});
    }
  };

  const tell = (event) => {
    if (choice() !== "yes" || told >= MOST_PER_PAGE || waiting.length >= MOST_WAITING) return;
    told += 1;
    waiting.push({ ...event, page: place(), locale, at: performance.now() });
    if (waiting.length >= BATCH) send();
    else timer ||= setTimeout(send, EVERY_MS);
  };

  const results = () => document.getElementById("results")?.dataset;
  const query = () => results()?.query?.trim().slice(0, LONGEST_QUERY) || undefined;
  const place = () => query() ? "search" : WATCHED[kind];
  const about = (tile) => {
    const tiles = tile.closest(".grid")?.querySelectorAll(".tile[data-product]") ?? [];
    return { product_id: tile.dataset.product, position: Math.max(0, [...tiles].indexOf(tile)), query: query() };
  };

  let looked = "";
  const look = () => {
    if (choice() !== "yes" || !(kind in WATCHED)) return;
    const product = document.getElementById("product")?.dataset.product;
    const view = product ? { kind: "view", product_id: product } : query() ? { kind: "search", query: query() } : { kind: "view" };
    if (looked !== JSON.stringify(view)) {
      looked = JSON.stringify(view);
      tell(view);
    }
    watcher ??= new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting || shown.has(target.dataset.product)) continue;
        shown.add(target.dataset.product);
        watcher.unobserve(target);
        tell({ kind: "impression", ...about(target) });
      }
    }, { threshold: 0.5 });
    for (const tile of document.querySelectorAll(".tile[data-product]")) watcher.observe(tile);
  };

  const forget = () => {
    waiting = [];
    looked = "";
    watcher?.disconnect();
    watcher = null;
    store(NAME, null);
  };

  // --- the choice ---

  const show = () => {
    const control = document.getElementById("privacy-choice");
    if (!control) return;
    control.hidden = false;
    for (const text of control.querySelectorAll("[data-when]")) text.hidden = text.dataset.when !== choice();
    for (const button of control.querySelectorAll("[data-choose]")) {
      button.setAttribute("aria-pressed", String(button.dataset.choose === choice()));
      button.disabled = refusal;
    }
  };

  const dismiss = () => {
    const prompt = document.querySelector(".consent");
    const hadFocus = prompt?.contains(document.activeElement);
    prompt?.remove();
    if (hadFocus) document.getElementById("main").focus({ preventScroll: true });
  };

  const choose = (answer) => {
    if (refusal) return;
    store(CHOICE, answer);
    if (answer === "yes") look();
    else forget();
    dismiss();
    show();
  };

  // Asked beside the page and not before it, of those who come from another page of the shop; either answer is a click.
  const ask = () => {
    if (choice() !== "none" || !(kind in WATCHED) || !document.referrer.startsWith(`${location.origin}/`)) return;
    const prompt = document.getElementById("consent");
    if (prompt) document.body.append(prompt.content.cloneNode(true));
  };

  document.addEventListener("click", (event) => {
    const answer = event.target.closest?.("[data-choose]")?.dataset.choose;
    if (answer) return choose(answer);
    const tile = event.target.closest?.("a") && event.target.closest(".tile[data-product]");
    if (tile) tell({ kind: "click", ...about(tile) });
  });
  document.addEventListener("submit", (event) => {
    if (event.target.id !== "buy") return;
    const sku = new FormData(event.target).get("sku");
    if (sku) tell({ kind: "add_to_cart", product_id: document.getElementById("product")?.dataset.product, sku });
  });
  document.addEventListener("visibilitychange", () => { if (document.visibilityState === "hidden") send(); });
  addEventListener("pagehide", send);
  addEventListener("storage", ({ key }) => {
    if (key !== CHOICE && key !== null) return;
    if (choice() === "yes") look(); else forget();
    if (choice() !== "none") dismiss();
    show();
  });
  document.addEventListener("htmx:afterSettle", look);
  document.addEventListener("DOMContentLoaded", () => {
    // What a member decided in the account holds in this browser too, once it shows that page.
    const decided = document.querySelector("[data-allows]")?.dataset.allows;
    if (refusal && stored(NAME) !== null) forget();
    if (decided && decided !== choice()) choose(decided);
    ask();
    look();
    show();
  });
})();

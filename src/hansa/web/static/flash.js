"use strict";
// A flash sale's page counts down by the shop's clock: each look at the sale's state brings the server's time, and the
// visitor's own clock only measures how much has passed since. It opens no button: only the shop hands out tickets.
(() => {
  const LOOKS_AT_FIRST = 3, KEPT_LOOKS = 8, SOON_MS = 250, TICK_MS = 200, PLACE_MS = 2000, NAMED = "flash:";
  const page = document.getElementById("flash");
  if (!page) return;
  const { locale } = document.body.dataset;
  const part = (name) => `/${locale}/fragments/sale/${page.dataset.sale}${name}${location.search}`;
  const found = (id) => document.getElementById(id);
  const clock = found("flash-clock");
  let looks = [], offset = null, next = 0, looking = false, shown = "";

  // Of several looks the quickest knows the time best: the answer was made somewhere between asking and hearing.
  const learn = (asked, heard, now) => {
    looks = [...looks, { took: heard - asked, offset: now - (asked + heard) / 2 }].slice(-KEPT_LOOKS);
    offset = looks.reduce((best, look) => (look.took < best.took ? look : best)).offset;
  };

  const look = async () => {
    if (looking) return;
    looking = true;
    clearTimeout(next);
    let pause = 5000;
    try {
      const asked = performance.now();
      const answer = await fetch(part("/state"), { cache: "no-store" });
      const heard = performance.now();
      if (!answer.ok) throw new Error(String(answer.status));
      const box = document.createElement("template");
      box.innerHTML = await answer.text();
      const sale = box.content.querySelector("[data-now]");
      learn(asked, heard, Date.parse(sale.dataset.now));
      const text = sale.innerHTML.trim();
      if (text !== shown) found("flash-state").innerHTML = shown = text;
      Object.assign(page.dataset, { starts: sale.dataset.starts, ends: sale.dataset.ends });
      if (sale.dataset.state !== page.dataset.state) { page.dataset.state = sale.dataset.state; renew(); }
      pause = patience();
    } catch { /* the next look will do */ } finally {
      looking = false;
      tick();
      if (pause) next = setTimeout(look, pause);
    }
  };

  // When to look again: seldom while it is far off, and not all at once.
  const patience = () => {
    if (page.dataset.state === "ended") return 0;
    const left = remaining();
    if (looks.length < LOOKS_AT_FIRST || left <= 0) return SOON_MS;
    const usual = (left > 3600e3 ? 60e3 : left > 60e3 ? 15e3 : 5e3) * (0.8 + 0.4 * Math.random());
    return Math.min(usual, left + 20);
  };

  const goal = () => Date.parse(page.dataset.state === "scheduled" ? page.dataset.starts : page.dataset.ends);
  const remaining = () => goal() - (performance.now() + offset);

  // What depends on the state: the button, around which something may be filled in, or the whole way in. Whoever waits
  // in line stays there.
  const renew = () => {
    if (found("flash-wait")) return;
    if (found("flash-go")) htmx.ajax("GET", part("/ticket"), { target: "#flash-go", swap: "outerHTML" });
    else htmx.ajax("GET", part(""), { target: "#flash-door", swap: "outerHTML" });
  };

  const two = (number) => String(number).padStart(2, "0");
  const tick = () => {
    clock.hidden = offset === null || page.dataset.state === "ended";
    if (clock.hidden) return;
    const seconds = Math.max(0, Math.ceil(remaining() / 1000));
    const days = Math.floor(seconds / 86400);
    const text = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60].map(two).join(":");
    const said = days && new Intl.NumberFormat(document.documentElement.lang, { style: "unit", unit: "day", unitDisplay: "long" }).format(days);
    clock.querySelector("span").textContent = clock.dataset[page.dataset.state === "scheduled" ? "startsIn" : "endsIn"];
    clock.querySelector("strong").textContent = days ? `${said} ${text}` : text;
  };

  // A form that was sent keeps its key over a reload, so that it is one order; what comes of it has the say.
  const keep = (key) => { try { key ? sessionStorage.setItem(NAMED + page.dataset.sale, key) : sessionStorage.removeItem(NAMED + page.dataset.sale); } catch { /* it is a comfort */ } };
  const recall = () => {
    const field = document.querySelector("#flash-form [name=key]");
    try { const kept = sessionStorage.getItem(NAMED + page.dataset.sale); if (field && kept) field.value = kept; } catch { /* as above */ }
  };
  const isBuying = (event) => ["flash-form", "flash-again"].includes(event.detail.elt?.id);

  let places = 0;
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (!isBuying(event)) return;
    keep(event.detail.elt.elements.key.value);
    const asking = found("flash-asking");
    if (!asking) return;
    asking.hidden = false;
    found("flash-lost").hidden = true;
    found("flash-form").querySelector("#flash-go button").disabled = true;
    places = setInterval(() => htmx.ajax("GET", part("/place"), { target: "#flash-asking", swap: "innerHTML" }), PLACE_MS);
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (!isBuying(event)) return;
    clearInterval(places);
    if (event.detail.xhr.getResponseHeader("HX-Redirect")) return keep("");
    const asking = found("flash-asking");
    if (asking) asking.hidden = true;
    if (event.detail.successful) return;
    // Nothing was heard: it may be bought, and the same form finds out.
    if (found("flash-lost")) { found("flash-lost").hidden = false; renew(); }
    if (found("flash-again")) setTimeout(() => found("flash-again")?.requestSubmit(), PLACE_MS);
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target.id !== "flash-door") return;
    const key = document.querySelector("#flash-door [name=key]")?.value;
    if (event.detail.requestConfig?.verb === "post") keep(key); else recall();
  });

  document.addEventListener("visibilitychange", () => { if (!document.hidden) { looks = []; look(); } });
  document.addEventListener("DOMContentLoaded", () => {
    const isKnown = document.cookie.split("; ").some((cookie) => cookie.startsWith("known="));
    if (found("flash-form")) recall();
    else if (isKnown && !found("flash-wait")) htmx.ajax("GET", part(""), { target: "#flash-door", swap: "outerHTML" });
    setInterval(tick, TICK_MS);
    look();
  });
})();

"use strict";
// What pages gain where scripts run; without them everything works by links and forms.
(() => {
  const locale = document.body.dataset.locale;
  const marked = (name) => document.cookie.split("; ").some((cookie) => cookie.startsWith(`${name}=`));

  // The greeting and the number of things in the cart: only for those who have either, so that
  // the page itself can be the same for everybody.
  const personal = () => {
    const link = document.getElementById("cart-link");
    if (link && marked("known")) htmx.ajax("GET", `/${locale}/fragments/visitor${link.search}`, { target: link, swap: "none" });
  };

  // Menus close when one clicks elsewhere or presses Escape.
  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
    const suggestions = document.getElementById("suggestions");
    if (suggestions && !event.target.closest(".finder")) suggestions.replaceChildren();
  });
  document.addEventListener("keydown", (event) => {
    const suggestions = document.getElementById("suggestions");
    if (event.key === "Escape") {
      for (const menu of document.querySelectorAll("details.menu[open]")) { menu.open = false; menu.querySelector("summary").focus(); }
      if (suggestions) { suggestions.replaceChildren(); htmx.trigger("#q", "htmx:abort"); }
    }
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && event.target.closest?.(".finder")) {
      const stops = [document.getElementById("q"), ...suggestions.querySelectorAll("a")];
      const next = stops[stops.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1)];
      if (next) { event.preventDefault(); next.focus(); }
    }
  });

  // Suggestions that come late do not take the place of those that one is going through, or has closed.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { target } = event.detail;
    if (target.id === "suggestions" && document.activeElement.id !== "q") event.detail.shouldSwap = false;
  });

  // Filters stand open where there is room beside the list.
  const wide = matchMedia("(min-width: 60rem)");
  const unfold = () => { for (const filters of document.querySelectorAll("details.filters")) filters.open = wide.matches; };
  wide.addEventListener("change", unfold);

  // A form is sent once: a second click while it is under way does nothing.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.hasAttribute("hx-post")) return;
    if (form.dataset.sent) return event.preventDefault();
    form.dataset.sent = "1";
    setTimeout(() => { delete form.dataset.sent; }, 8000);
  });
  addEventListener("pageshow", () => { for (const form of document.forms) delete form.dataset.sent; });

  // Selects that say so send their form at once (the button beside them is for those without scripts).
  document.addEventListener("change", (event) => {
    const form = event.target.form;
    if (event.target.matches("[data-sends]") && form && !form.hasAttribute("hx-get")) form.requestSubmit();
  });

  // A password can be looked at while one types it.
  document.addEventListener("click", (event) => {
    const button = event.target.closest?.("[data-shows]");
    if (!button) return;
    const field = document.getElementById(button.dataset.shows);
    const shown = field.type === "password";
    field.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
  });

  document.addEventListener("htmx:afterSettle", unfold);
  document.addEventListener("DOMContentLoaded", () => {
    document.documentElement.classList.add("has-scripts");
    for (const button of document.querySelectorAll("[data-without-scripts]")) button.hidden = true;
    for (const button of document.querySelectorAll("[data-shows]")) button.hidden = false;
    unfold();
    personal();
  });
})();

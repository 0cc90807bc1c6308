// What the libraries do not already give: time zone, theme switch, polite polling, bulk selection, failed requests.
(() => {
  const one = (selector, root = document) => root.querySelector(selector);
  const all = (selector, root = document) => [...root.querySelectorAll(selector)];

  // Times are shown in the viewer's zone; the server learns it from this cookie.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone) document.cookie = `timezone=${zone}; path=/; max-age=31536000; samesite=lax`;

  const say = (text) => {
    const place = one("#trouble");
    if (!place) return;
    place.textContent = text;
    place.hidden = !text;
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-theme-switch]");
    if (button) {
      const theme = document.documentElement.dataset.bsTheme === "dark" ? "light" : "dark";
      document.documentElement.dataset.bsTheme = theme;
      try { localStorage.setItem("theme", theme); } catch { /* storage switched off: until the next page */ }
    }
  });

  // A double click must not send a form twice; coming back to the page makes its buttons work again.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.hasAttribute("hx-post")) return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => all("form[data-sent]").forEach((form) => delete form.dataset.sent));

  // Enter in a picker's search field searches; elsewhere it presses the form's own button.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing || !event.target.matches(".picker input[type=search]")) return;
    event.preventDefault();
    htmx.trigger(event.target, "search");
  });

  // Bulk selection: the bar shows how many rows are ticked, and offers all that match once the page is ticked.
  const count = (list) => {
    const boxes = all("input[name=selected]", list);
    const bar = one(".bulk", list);
    if (!bar) return;
    const ticked = boxes.filter((box) => box.checked).length;
    bar.hidden = ticked === 0;
    one(".bulk-count", bar).textContent = ticked;
    const head = one("[data-tick-all]", list);
    head.checked = ticked > 0 && ticked === boxes.length;
    head.indeterminate = ticked > 0 && ticked < boxes.length;
    const matching = one(".bulk-all", bar);
    if (matching) {
      matching.hidden = ticked < boxes.length;
      if (matching.hidden) one("input", matching).checked = false;
    }
  };
  document.addEventListener("change", (event) => {
    const list = event.target.closest("#list");
    if (!list) return;
    if (event.target.matches("[data-tick-all]")) {
      all("input[name=selected]", list).forEach((box) => { box.checked = event.target.checked; });
    }
    if (event.target.matches("[data-tick-all], input[name=selected]")) count(list);
  });

  // Filters that say nothing stay out of the address.
  document.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.elt.id !== "filters") return;
    for (const [name, value] of [...event.detail.formData]) if (value === "") event.detail.formData.delete(name);
  });

  // A list is not refreshed under the viewer's hands, nor in a tab nobody looks at.
  document.addEventListener("htmx:beforeRequest", (event) => {
    const element = event.detail.elt;
    if (!element.matches("[data-polls]")) return;
    const isInUse = one("input[name=selected]:checked, .tick:hover, .dropdown-menu.show, details[open]", element);
    if (document.hidden || isInUse) event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) all("[data-polls]").forEach((element) => htmx.trigger(element, "look"));
  });

  // A session that ended answers with the sign-in page, which belongs in no fragment.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const answered = event.detail.xhr.responseURL;
    const wanted = event.detail.pathInfo.requestPath.split("?")[0];
    if (answered && new URL(answered).pathname !== new URL(wanted, location.href).pathname) {
      event.detail.shouldSwap = false;
      location.reload();
    }
  });
  document.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) say(""); });
  document.addEventListener("htmx:sendError", () => say("The portal cannot be reached. What is shown may be old."));
  document.addEventListener("htmx:responseError", (event) => {
    say(event.detail.xhr.status === 403
      ? "You may not do this, or your session has ended: reload the page."
      : `The portal could not answer (${event.detail.xhr.status}). Try again, or reload the page.`);
  });

  // After a form came back with errors, the first of them gets the focus.
  const focusError = (root) => {
    const wrong = one(".tab-pane.active .is-invalid, .is-invalid", root);
    if (wrong) (wrong.matches("input, select, textarea") ? wrong : one("input, select, textarea", wrong) || wrong).focus();
  };
  document.addEventListener("htmx:afterSettle", (event) => {
    if (event.target.id === "window-content") focusError(event.target);
    const list = event.target.id === "list" ? event.target : one("#list");
    if (list) count(list);
  });
  document.addEventListener("DOMContentLoaded", () => { focusError(document); if (one("#list")) count(one("#list")); });
})();

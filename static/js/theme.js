// The key is the one that the Django admin uses, which also knows "auto".
// Runs before the first paint, so that no page flashes in the wrong colours.
(() => {
  const root = document.documentElement;
  root.classList.add("js");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const show = () => {
    let kept = null;
    try { kept = localStorage.getItem("theme"); } catch { /* storage switched off: follow the system */ }
    root.dataset.bsTheme = ["light", "dark"].includes(kept) ? kept : dark.matches ? "dark" : "light";
  };
  dark.addEventListener("change", show);
  show();
})();

// Runs before anything is drawn, so that no page flashes in the other theme.
(() => {
  let chosen = null;
  try { chosen = localStorage.getItem("reaugkd-theme"); } catch { /* storage may be forbidden */ }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  document.documentElement.classList.add("scripted");
})();

// Before the first paint, so that a dark page never flashes white. The choice is kept in this
// browser only; without one the desktop's own decides. Not a module: modules run after parsing.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem("imgq-theme");
  } catch {
    // Storage can be switched off; then the desktop decides.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();

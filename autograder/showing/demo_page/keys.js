// One figure fills the screen. Left and right move its marked control, up and down mark another one, Enter presses a button,
// PageUp and PageDown show another figure, "d" switches light and dark.
(() => {
  const CONTROLS =
    ".noUi-handle, select, input[type=checkbox], button.widget-toggle-button, input[type=radio], button.course-commit";
  const figures = [...document.querySelectorAll("section.figure")];
  const links = [...document.querySelectorAll("nav.figures a")];
  let here = 0;

  // A group of radio buttons is one control: its chosen button, or its first.
  const group = (radio) => [...radio.closest(".widget-radio-box").querySelectorAll("input")];
  const chosen = (radio) => group(radio).find((each) => each.checked) || group(radio)[0];
  const controls = () =>
    [...figures[here].querySelectorAll(CONTROLS)].filter((control) => control.type !== "radio" || control === chosen(control));
  const marked = () => controls().find((control) => control === document.activeElement) || controls()[0];

  function show(number) {
    here = Math.min(Math.max(number, 0), figures.length - 1);
    figures.forEach((figure, place) => figure.classList.toggle("here", place === here));
    links.forEach((link, place) => link.toggleAttribute("aria-current", place === here));
    scrollTo(0, 0);
    marked()?.focus();
  }

  function move(control, key) {
    const by = key === "ArrowRight" ? 1 : -1;
    if (control.matches("select")) {
      const option = Math.min(Math.max(control.selectedIndex + by, 0), control.options.length - 1);
      if (option === control.selectedIndex) return;
      control.selectedIndex = option;
      control.dispatchEvent(new Event("change", { bubbles: true }));
    } else if (control.type === "radio") {
      const all = group(control);
      const next = all[Math.min(Math.max(all.findIndex((each) => each.checked) + by, 0), all.length - 1)];
      next.focus();
      if (!next.checked) next.click();
    } else if (control.matches(".course-commit")) {
      return; // Enter and the space bar press it
    } else if (control.matches("input, button")) {
      const on = control.checked ?? control.classList.contains("mod-active");
      if (on !== by > 0) control.click();
    } else {
      control.dispatchEvent(new KeyboardEvent("keydown", { key }));
    }
  }

  addEventListener(
    "keydown",
    (event) => {
      const typing = event.target.isContentEditable || event.target.matches?.("input:not([type=checkbox], [type=radio]), textarea");
      if (typing || event.ctrlKey || event.metaKey || event.altKey || !event.isTrusted) return;
      const turn = { PageDown: 1, PageUp: -1 }[event.key];
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (event.key === "d") window.switchTheme();
      else if (turn) location.hash = Math.min(Math.max(here + turn, 0), figures.length - 1) + 1;
      else if (!marked()) return;
      else if (step) {
        const all = controls();
        all[(all.indexOf(marked()) + step + all.length) % all.length].focus();
      } else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
        const control = marked();
        control.focus();
        move(control, event.key);
      } else return;
      event.preventDefault();
      event.stopPropagation();
    },
    true,
  );

  const byAddress = () => show((parseInt(location.hash.slice(1)) || 1) - 1);
  addEventListener("hashchange", byAddress);
  // The widgets arrive after the page, and a figure after the prediction: mark the first control as soon as it is there.
  let first = null;
  new MutationObserver(() => {
    const now = figures[here].querySelector(CONTROLS);
    if (!now || now === first) return;
    first = now;
    document.body.classList.add("ready");
    if (document.activeElement.matches("body, .course-question")) marked().focus();
  }).observe(document.body, { childList: true, subtree: true });
  byAddress();
})();

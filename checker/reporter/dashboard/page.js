"use strict";
// The page is whole without this: here are the arrow keys of the strip, a word about its age, and its renewal.
const strip = document.getElementById("strip");
const told = document.getElementById("told");
const cells = Array.from(strip.querySelectorAll("button"));
function show(cell, focus) {
  for (const other of cells) {
    other.tabIndex = other === cell ? 0 : -1;
    other.removeAttribute("aria-current");
  }
  cell.setAttribute("aria-current", "true");
  told.textContent = cell.getAttribute("aria-label");
  if (focus) cell.focus();
}
strip.addEventListener("click", (event) => {
  if (event.target instanceof HTMLButtonElement) show(event.target, true);
});
strip.addEventListener("keydown", (event) => {
  const at = cells.indexOf(document.activeElement);
  const steps = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: cells.length - 1, PageUp: at - 12, PageDown: at + 12 };
  if (!(event.key in steps) || at < 0) return;
  event.preventDefault();
  show(cells[Math.max(0, Math.min(cells.length - 1, steps[event.key]))], true);
});
const stale = document.getElementById("stale");
function age() {
  const passed = (Date.now() - Date.parse(document.body.dataset.asOf)) / 1000;
  stale.hidden = passed < Number(document.body.dataset.staleAfterS);
  if (!stale.hidden) {
    const hours = passed / 3600;
    const span = hours < 2 ? `${Math.round(passed / 60)} minutes` : hours < 48 ? `${Math.round(hours)} hours` : `${Math.round(hours / 24)} days`;
    stale.textContent = `This page is ${span} old: nothing here says how things are now. Look at the reporter.`;
  }
}
age();
setInterval(age, 15000);
setInterval(() => { if (!strip.contains(document.activeElement)) location.reload(); }, 120000);

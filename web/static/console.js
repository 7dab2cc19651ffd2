// What plain HTML cannot do. Without this file every page still works.
"use strict";
document.documentElement.classList.add("js");

function showLink(on) {
  document.querySelectorAll(".live").forEach((mark) => {
    mark.classList.toggle("is-on", on);
    mark.classList.toggle("is-off", !on);
  });
}
document.addEventListener("htmx:sseOpen", () => {
  showLink(true);
  // What happened while the line was down is fetched at once.
  if (document.body.dataset.lost) document.querySelectorAll("[data-live]").forEach((part) => htmx.trigger(part, "refresh"));
  delete document.body.dataset.lost;
});
document.addEventListener("htmx:sseError", () => {
  document.body.dataset.lost = "1";
  showLink(false);
});

// A form that somebody is filling in is not replaced under their fingers.
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const target = event.detail.target;
  if (target && (target.contains(document.activeElement) || target.querySelector("details[open]"))) {
    event.detail.shouldSwap = false;
  }
});
// Alerts that were unfolded stay unfolded.
let unfolded = [];
document.addEventListener("htmx:beforeSwap", () => {
  unfolded = Array.from(document.querySelectorAll("[data-live] details[open][id]"), (part) => part.id);
});
document.addEventListener("htmx:afterSwap", () => {
  unfolded.forEach((id) => { const part = document.getElementById(id); if (part) part.open = true; });
});

// One tap is one command: the buttons of a form rest while it is on its way.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "1";
  setTimeout(() => { delete form.dataset.sent; }, 4000);
});

// A cited event may lie in a fold; not every browser opens it by itself.
function unfoldCited() {
  const cited = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const fold = cited && cited.closest("details:not([open])");
  if (fold) { fold.open = true; cited.scrollIntoView(); }
}
addEventListener("hashchange", unfoldCited);
unfoldCited();

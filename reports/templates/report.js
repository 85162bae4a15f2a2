"use strict";
(() => {
  const table = document.getElementById("ranking");
  const body = table.tBodies[0];
  const heads = [...table.querySelectorAll("thead th")];

  // Empty cells stay at the end in both directions: "not measured" is neither small nor large.
  function compare(a, b, index, sign) {
    const [x, y] = [a.cells[index].dataset.value, b.cells[index].dataset.value];
    if (x === "" || y === "") return (x === "") - (y === "");
    const [p, q] = [Number(x), Number(y)];
    const order = Number.isNaN(p) || Number.isNaN(q) ? x.localeCompare(y) : p - q;
    return sign * order || a.dataset.place - b.dataset.place;
  }

  function sortBy(head) {
    const index = heads.indexOf(head);
    const first = head.dataset.first;
    const now = head.getAttribute("aria-sort");
    const next = now === "none" ? first : now === "ascending" ? "descending" : "ascending";
    heads.forEach((other) => other.hasAttribute("aria-sort") && other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", next);
    const rows = [...body.rows].sort((a, b) => compare(a, b, index, next === "ascending" ? 1 : -1));
    body.append(...rows);
  }

  heads.forEach((head) => {
    const button = head.querySelector("button");
    if (button) button.addEventListener("click", () => sortBy(head));
  });

  const boxes = [...document.querySelectorAll("input[data-outcome]")];
  const search = document.getElementById("search");
  const shown = document.getElementById("shown");

  function filter() {
    const allowed = new Set(boxes.filter((box) => box.checked).map((box) => box.dataset.outcome));
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of body.rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !allowed.has(row.dataset.outcome) || !words.every((word) => text.includes(word));
      count += row.hidden ? 0 : 1;
    }
    shown.textContent = `${count} of ${body.rows.length} shown`;
  }

  boxes.forEach((box) => box.addEventListener("change", filter));
  search.addEventListener("input", filter);
  filter();
})();

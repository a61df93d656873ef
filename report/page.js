"use strict";
// Without this script a page shows all that it has; with it tables can be sorted and filtered, and an enlarged picture
// obeys the keys.

// Tables of class "sortable": each heading becomes a button. The first press puts the best on top (the smallest, where
// no end is better, and text in order), the next one turns it round. Absent numbers stay at the end, the row of real
// images in the table's foot.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[table.tHead.rows.length - 1].cells];

  const value = (row, column) => {
    const cell = row.cells[column];
    if (headings[column].classList.contains("text")) return cell.textContent.trim().toLowerCase();
    return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
  };

  const sort = (column) => {
    const heading = headings[column];
    const first = heading.dataset.direction === "higher" ? "descending" : "ascending";
    const turned = first === "ascending" ? "descending" : "ascending";
    const order = heading.getAttribute("aria-sort") === first ? turned : first;
    for (const other of headings) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const rows = [...body.rows].map((row) => [value(row, column), row]);
    rows.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * (typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b);
    });
    body.append(...rows.map(([, row]) => row));
  };

  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    const label = heading.querySelector(".heading");
    button.append(...(label ? [label] : heading.childNodes));
    heading.prepend(button);
    button.addEventListener("click", () => sort(column));
  });
}

// Filters: a row is shown if it is of a pressed family and of a pressed data set (all are, where none is pressed) and
// has the word in its model, sampler or data set.
for (const filterable of document.querySelectorAll(".filterable")) {
  const filters = filterable.querySelector(".filters");
  const buttons = [...filters.querySelectorAll("button")];
  const search = filters.querySelector("input");
  const rows = [...filterable.querySelector("table").tBodies[0].rows];

  const filter = () => {
    const word = search.value.trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const fits = ["family", "suite"].every((kind) => {
        const pressed = buttons.filter((one) => one.dataset.filter === kind && one.getAttribute("aria-pressed") === "true");
        return pressed.length === 0 || pressed.some((one) => one.value === row.dataset[kind]);
      });
      const text = [...row.cells].filter((cell) => !cell.classList.contains("device") && cell.classList.contains("text"));
      row.hidden = !fits || !text.some((cell) => cell.textContent.toLowerCase().includes(word));
      shown += !row.hidden;
    }
    filterable.classList.toggle("filtered", shown < rows.length);
    filters.querySelector("output").textContent = shown < rows.length ? `${shown} of ${rows.length} rows` : "";
  };

  for (const button of buttons) {
    button.addEventListener("click", () => {
      button.setAttribute("aria-pressed", button.getAttribute("aria-pressed") !== "true");
      filter();
    });
  }
  search.addEventListener("input", filter);
  filters.hidden = false;
}

// An enlarged picture is the target of a link. Escape closes it, the arrows show its neighbours, and the keyboard's
// place goes with it.
const enlarged = () => document.querySelector("figure:target");
addEventListener("keydown", (event) => {
  const figure = enlarged();
  const name = { Escape: "close", ArrowLeft: "previous", ArrowRight: "next" }[event.key];
  const link = figure && name && figure.querySelector(`a.${name}`);
  if (!link) return;
  event.preventDefault();
  link.click();
});
addEventListener("hashchange", (event) => {
  const figure = enlarged();
  const left = new URL(event.oldURL).hash.slice(1);
  const before = left && document.getElementById(left);
  if (figure) figure.querySelector(".steps a.close").focus();
  else if (before && before.matches("figure")) before.querySelector("a.open").focus({ preventScroll: true });
});

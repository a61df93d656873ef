"use strict";
// Tables of class "sortable": each heading becomes a button. The first press puts the best on top (the smallest, where
// no end is better, and text in order), the next one turns it round. Absent numbers stay at the end, the row of real
// images in the table's foot.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const headings = [...table.tHead.rows[0].cells];

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
    const label = heading.querySelector(".heading");
    button.append(...(label ? [label] : heading.childNodes));
    heading.prepend(button);
    button.addEventListener("click", () => sort(column));
  });
}

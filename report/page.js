"use strict";
// A page shows everything without this script. The script sorts and filters the comparison, hides its columns and compares
// its rows. The address holds this state, so that it can be shared. Enlarged pictures respond to keys.

const element = (tag, properties, ...content) => {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...content);
  return made;
};

// `state` is the part of the address after "#?": sort (COLUMN.ascending), word, all (rows are unfolded), and any number of
// family, suite, hide (columns of a group) and compare (rows).
for (const filterable of document.querySelectorAll(".filterable")) {
  const filters = filterable.querySelector(".filters");
  const buttons = [...filters.querySelectorAll("button")];
  const search = filters.querySelector("input");
  const unfold = filterable.querySelector(".unfold input");
  const panel = filterable.querySelector(".compared");
  const table = filterable.querySelector("table");
  const rows = [...table.tBodies[0].rows];
  const headings = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const first = headings.find((heading) => heading.hasAttribute("aria-sort"));
  let state = new URLSearchParams();

  const has = (key, value) => state.getAll(key).includes(value);
  const set = (key, value) => (value ? state.set(key, value) : state.delete(key));
  const toggle = (key, value) => {
    const others = state.getAll(key).filter((other) => other !== value);
    if (!has(key, value)) others.push(value);
    state.delete(key);
    for (const other of others) state.append(key, other);
  };
  const keep = () => {
    history.replaceState(null, "", `#?${state}`);
    show();
  };

  // The first press of a heading puts the best on top (or the smallest, if neither end is better; text in order), and the
  // next press reverses the order. Missing numbers stay at the end, and the row of real images in the table's foot.
  const best = (heading) => (heading.dataset.direction === "higher" ? "descending" : "ascending");
  const press = (heading) => {
    const turned = best(heading) === "ascending" ? "descending" : "ascending";
    const order = heading.getAttribute("aria-sort") === best(heading) ? turned : best(heading);
    set("sort", `${heading.dataset.key}.${order}`);
    keep();
  };
  const sort = () => {
    const [, key, order] = /^(.*)\.(ascending|descending)$/s.exec(state.get("sort")) || [];
    const column = headings.findIndex((heading) => heading.dataset.key === key);
    for (const heading of headings) heading.removeAttribute("aria-sort");
    if (column < 0) {
      if (first) first.setAttribute("aria-sort", best(first));
      table.tBodies[0].append(...rows);
      return;
    }
    headings[column].setAttribute("aria-sort", order);
    const text = headings[column].classList.contains("text");
    const value = (cell) => (text ? cell.textContent.trim().toLowerCase() : cell.dataset.value && Number(cell.dataset.value));
    const sorted = rows.map((row) => [value(row.cells[column]), row]);
    sorted.sort(([a], [b]) => {
      if (a === undefined || b === undefined) return (a === undefined) - (b === undefined);
      return (order === "ascending" ? 1 : -1) * (text ? a.localeCompare(b, undefined, { numeric: true }) : a - b);
    });
    table.tBodies[0].append(...sorted.map(([, row]) => row));
  };

  // A row is shown if its family and its data set are pressed (or none is), and its model, sampler or data set contains the
  // word.
  const filter = () => {
    const word = (state.get("word") || "").trim().toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const fits = ["family", "suite"].every((key) => !state.has(key) || has(key, row.dataset[key]));
      const text = [...row.cells].filter((cell) => !cell.classList.contains("device") && cell.classList.contains("text"));
      row.hidden = !fits || !text.some((cell) => cell.textContent.toLowerCase().includes(word));
      shown += !row.hidden;
    }
    filterable.classList.toggle("filtered", shown < rows.length);
    filters.querySelector("output").textContent = shown < rows.length ? `${shown} of ${rows.length} rows` : "";
  };
  const hideColumns = () => {
    const hidden = headings.map((heading) => has("hide", heading.dataset.group));
    for (const row of table.rows) {
      const groups = row.classList.contains("groups");
      [...row.cells].forEach((cell, column) => {
        cell.hidden = groups ? has("hide", cell.dataset.group) : hidden[column];
      });
    }
  };
  const show = () => {
    sort();
    filter();
    hideColumns();
    for (const button of buttons) {
      const { filter: key } = button.dataset;
      button.setAttribute("aria-pressed", has(key, button.value) !== (key === "hide"));
    }
    if (search.value !== (state.get("word") || "")) search.value = state.get("word") || "";
    if (unfold) unfold.checked = state.has("all");
    const chosen = rows.filter((row) => has("compare", row.dataset.row));
    for (const row of rows) {
      const box = row.querySelector(".pick");
      if (box) [box.checked, box.disabled] = [chosen.includes(row), chosen.length > 2 && !chosen.includes(row)];
    }
    panel.hidden = chosen.length === 0;
    panel.replaceChildren(...(panel.hidden ? [] : comparison(chosen, headings)));
  };

  for (const heading of headings) {
    const label = heading.querySelector(".heading");
    const button = element("button", { type: "button", className: "sort" }, ...(label ? [label] : heading.childNodes));
    button.addEventListener("click", () => press(heading));
    heading.prepend(button);
  }
  for (const button of buttons) {
    button.addEventListener("click", () => {
      toggle(button.dataset.filter, button.value);
      keep();
    });
  }
  for (const row of panel.dataset.here === undefined ? [] : rows) {
    const said = { title: "Compare two or three rows", ariaLabel: `Compare ${row.dataset.name}` };
    const box = element("input", { type: "checkbox", className: "pick", ...said });
    box.addEventListener("change", () => {
      toggle("compare", row.dataset.row);
      keep();
    });
    row.cells[0].prepend(box);
  }
  search.addEventListener("input", () => {
    set("word", search.value);
    keep();
  });
  if (unfold) {
    unfold.addEventListener("change", () => {
      set("all", unfold.checked ? "1" : "");
      keep();
    });
  }
  const restore = () => {
    if (!location.hash.startsWith("#?")) return;
    state = new URLSearchParams(location.hash.slice(2));
    show();
  };
  addEventListener("hashchange", restore);
  restore();
  filters.hidden = false;
}

// Rows of the comparison side by side: their numbers, the differences of their recipes, samples with the same seeds, and
// training curves. All of these are already on the page.
function comparison(chosen, headings) {
  const names = chosen.map((row) => row.dataset.name);
  if (chosen.length < 2) return [element("p", {}, `${names[0]}: choose one or two more rows to compare it with.`)];
  const sections = chosen.map((row) => document.getElementById(row.querySelector("th a").hash.slice(1)));
  const beside = (caption, lines) => {
    const cell = (text) => element("td", { className: "text" }, text);
    const named = (what) => element("th", { scope: "row", className: "text" }, what);
    const line = ([what, values]) => element("tr", {}, named(what), ...values.map(cell));
    const head = [element("td", {}), ...names.map((name) => element("th", { className: "text", scope: "col" }, name))];
    const body = element("tbody", {}, ...lines.map(line));
    return element("div", { className: "scroll", tabIndex: 0, role: "region", ariaLabel: caption },
      element("table", {}, element("caption", {}, caption), element("thead", {}, element("tr", {}, ...head)), body));
  };

  const numbers = headings.flatMap((heading, column) => {
    const values = chosen.map((row) => row.cells[column].querySelector("span")?.textContent ?? "–");
    const text = heading.classList.contains("text") || values.every((value) => value === "–");
    return text ? [] : [[heading.querySelector(".heading").textContent, values]];
  });

  const recipes = chosen.map((row, number) => {
    const sampler = row.dataset.row.split("/").pop();
    const found = new Map();
    for (const part of sections[number].querySelectorAll(".recipe table")) {
      for (const { cells: [key, value] } of part.tBodies[0].rows) {
        const [name, ...rest] = key.textContent.split(".");
        const ours = part.caption.textContent !== "samplers" || name === sampler;
        const named = part.caption.textContent === "samplers" ? rest.join(".") || "options" : key.textContent;
        if (ours) found.set(`${part.caption.textContent}: ${named}`, value.textContent);
      }
    }
    return found;
  });
  const keys = [...new Set(recipes.flatMap((recipe) => [...recipe.keys()]))];
  const differences = keys.map((key) => [key, recipes.map((recipe) => recipe.get(key) ?? "–")]);
  const different = differences.filter(([, values]) => new Set(values).size > 1);

  const recipesBeside = different.length
    ? beside("What differs in their recipes", different)
    : element("p", {}, "Their recipes are the same.");

  const strips = chosen.flatMap((row, number) => {
    const strip = [...document.querySelectorAll("dd[data-row]")].find((one) => one.dataset.row === row.dataset.row);
    return strip ? [element("dt", {}, names[number]), element("dd", {}, strip.querySelector("img").cloneNode())] : [];
  });
  const curves = [...new Set(sections)].flatMap((section) => {
    const found = [document.getElementById(`losses-${section.id}`), ...section.querySelectorAll(".curves figure")];
    const name = section.closest("article").querySelector("h3").firstChild.textContent.trim();
    return found.filter(Boolean).map((figure) => {
      const title = figure.id ? "Losses" : figure.querySelector("figcaption").textContent;
      return element("figure", {}, element("figcaption", {}, `${name}: ${title}`), figure.querySelector("svg").cloneNode(true));
    });
  });
  return [
    element("h3", {}, "Side by side"),
    element("div", { className: "pairs" }, beside("Numbers", numbers), recipesBeside),
    ...(strips.length ? [element("h4", {}, "The same seeds"), element("dl", { className: "strips" }, ...strips)] : []),
    ...(curves.length ? [element("h4", {}, "Training"), element("div", { className: "curves" }, ...curves)] : []),
  ];
}

// A slider that chooses one of a model's snapshots. Without the script, the samples of all snapshots are shown.
for (const strips of document.querySelectorAll("article .strips")) {
  const samples = [...strips.querySelectorAll("dd")].map((one) => [one, one.dataset.row.split("/")[1]]);
  const snapshots = [...new Set(samples.map(([, snapshot]) => snapshot))];
  if (snapshots.length < 2) continue;
  const range = element("input", { type: "range", max: snapshots.length - 1, value: snapshots.length - 1 });
  const output = element("output", {});
  const choose = () => {
    output.textContent = snapshots[range.value];
    for (const [one, snapshot] of samples) {
      one.hidden = one.previousElementSibling.hidden = snapshot !== snapshots[range.value];
    }
  };
  range.addEventListener("input", choose);
  strips.before(element("label", { className: "slider" }, "Snapshot ", range, " ", output));
  choose();
}

// Open the target of a link, if the browser does not.
const reveal = () => {
  const target = document.getElementById(location.hash.slice(1));
  for (let part = target?.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
  if (target && !target.matches("figure")) target.scrollIntoView();
};
addEventListener("hashchange", reveal);
if (location.hash) reveal();

// An enlarged picture is the target of a link. Escape closes it, the arrows show its neighbours, and the keyboard focus
// follows.
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

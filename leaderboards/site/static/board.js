"use strict";
// The front table: sorted by a column's text, figure or difference, filtered by row and by task. The address keeps the
// choice, so that a view can be sent to somebody.
(() => {
  const table = document.querySelector("table.board");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const rows = [...body.rows]; // in the board's own order
  const selects = [...document.querySelectorAll("[data-filter]")];
  const count = document.querySelector("[data-count]");
  let sorted = null; // {column, by, descending}

  const key = (row, column, by) => {
    const cell = row.cells[column];
    if (by === "text") return cell.textContent.trim();
    return cell.dataset[by] === "" ? null : Number(cell.dataset[by]);
  };

  const compare = (a, b) =>
    typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b;

  function sort() {
    const { column, by, descending } = sorted ?? {};
    const order = [...rows];
    if (sorted) {
      order.sort((one, other) => {
        const [a, b] = [key(one, column, by), key(other, column, by)];
        if (a === null || b === null) return (a === null) - (b === null); // what has no figure comes last
        return descending ? compare(b, a) : compare(a, b);
      });
    }
    body.append(...order);
    heads.forEach((head, place) => {
      const here = sorted && place === column;
      head.setAttribute("aria-sort", here ? (descending ? "descending" : "ascending") : "none");
      for (const button of head.querySelectorAll("[data-by]")) {
        button.classList.toggle("on", Boolean(here && button.dataset.by === by));
      }
    });
  }

  function filter() {
    const wanted = Object.fromEntries(selects.map((select) => [select.dataset.filter, select.value]));
    let visible = 0;
    for (const row of rows) {
      row.hidden = ["family", "level", "verifier"].some((name) => wanted[name] && row.dataset[name] !== wanted[name]);
      visible += !row.hidden;
    }
    heads.forEach((head, column) => {
      if (head.dataset.task === undefined) return;
      const shown = wanted.task ? head.dataset.task === wanted.task : head.dataset.headline !== undefined;
      head.hidden = !shown;
      for (const row of rows) row.cells[column].hidden = !shown;
    });
    count.textContent = `${visible} of ${rows.length} checkpoints`;
  }

  function keep() {
    const state = new URLSearchParams();
    for (const select of selects) if (select.value) state.set(select.dataset.filter, select.value);
    if (sorted) state.set("sort", `${sorted.column}.${sorted.by}.${sorted.descending ? "down" : "up"}`);
    history.replaceState(null, "", `#${state}`);
  }

  function restore() {
    const state = new URLSearchParams(location.hash.slice(1));
    for (const select of selects) {
      const value = state.get(select.dataset.filter) ?? "";
      select.value = [...select.options].some((option) => option.value === value) ? value : "";
    }
    const [column, by, direction] = (state.get("sort") ?? "").split(".");
    const known = heads[column]?.querySelector("[data-by=" + CSS.escape(by ?? "") + "]");
    sorted = known ? { column: Number(column), by, descending: direction === "down" } : null;
    filter();
    sort();
  }

  heads.forEach((head, column) => {
    for (const button of head.querySelectorAll("[data-by]")) {
      button.addEventListener("click", () => {
        const by = button.dataset.by;
        const again = sorted && sorted.column === column && sorted.by === by;
        sorted = { column, by, descending: again ? !sorted.descending : by !== "text" };
        sort();
        keep();
      });
    }
  });
  for (const select of selects) {
    select.addEventListener("change", () => {
      filter();
      keep();
    });
  }
  document.querySelector("[data-reset]").addEventListener("click", () => {
    history.replaceState(null, "", "#");
    restore();
  });
  window.addEventListener("hashchange", restore);
  restore();
})();

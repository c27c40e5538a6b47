// Tables are sorted by a click on a column's name, or by Enter: numbers by size, all else by letters; a second time the other way round.
const number = (text) => {
  const found = text.replaceAll(",", "").match(/^[^\d-]*(-?\d+(?:\.\d+)?(?:e-?\d+)?)/);
  return found ? Number(found[1]) : NaN;
};

const sortable = () => {
  for (const table of document.querySelectorAll("article table")) {
    const rows = table.tBodies[0];
    if (!rows || rows.rows.length < 4 || table.dataset.sortable) continue;
    table.dataset.sortable = "yes";
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (!head.textContent.trim()) return;
      head.tabIndex = 0;
      head.style.cursor = "pointer";
      head.title = "sort by this column";
      const sort = () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        const text = (row) => row.cells[column]?.textContent.trim() ?? "";
        const compare = (a, b) => {
          const [x, y] = [number(text(a)), number(text(b))];
          return Number.isNaN(x) || Number.isNaN(y) ? text(a).localeCompare(text(b)) : x - y;
        };
        for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        rows.append(...[...rows.rows].sort((a, b) => (down ? compare(b, a) : compare(a, b))));
      };
      head.addEventListener("click", sort);
      head.addEventListener("keydown", (event) => event.key === "Enter" && sort());
    });
  }
};

document.addEventListener("DOMContentLoaded", sortable);

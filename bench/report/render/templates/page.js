// Sorting, filtering, theme, what is said of a mark, and copying. Without this script the page still reads whole.
"use strict";
(() => {
  const root = document.documentElement;
  const all = (query, at = document) => [...at.querySelectorAll(query)];
  const make = (name, attributes = {}, text = "") => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return made;
  };

  // ---- what is said ----------------------------------------------------------------------
  const said = document.getElementById("said");
  let saying = 0;
  const say = (text) => {
    said.textContent = text;
    clearTimeout(saying);
    saying = setTimeout(() => { said.textContent = ""; }, 6000);
  };

  // ---- sorting ---------------------------------------------------------------------------
  const EMPTY = "–";
  const words = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  /** The number that the page gives a cell, else its text; null where there is nothing. */
  const keyOf = (cell) => {
    if (cell.dataset.v) return Number(cell.dataset.v);
    const text = cell.textContent.trim();
    return text === EMPTY || text === "" ? null : text;
  };
  const compare = (one, other) =>
    typeof one === "number" && typeof other === "number"
      ? one - other
      : (typeof one === "string") - (typeof other === "string") || words.compare(one, other);

  const sort = (table, column, direction) => {
    const body = table.tBodies[0];
    const rows = [...body.rows];
    rows.forEach((row, place) => { row.dataset.place ??= String(place); });
    const place = (row) => Number(row.dataset.place);
    if (direction === "none") {
      rows.sort((a, b) => place(a) - place(b));
    } else {
      const keys = new Map(rows.map((row) => [row, keyOf(row.cells[column])]));
      const sign = direction === "ascending" ? 1 : -1;
      rows.sort((a, b) => {
        const [one, other] = [keys.get(a), keys.get(b)];
        if (one === null || other === null) // what has no value is last, whatever the direction
          return (one === null) - (other === null) || place(a) - place(b);
        return sign * compare(one, other) || place(a) - place(b);
      });
    }
    body.append(...rows);
    all("thead th", table).forEach((head, at) => {
      if (head.hasAttribute("aria-sort"))
        head.setAttribute("aria-sort", at === column ? direction : "none");
    });
  };

  const NEXT = { none: "ascending", ascending: "descending", descending: "none" };
  const sortable = (table) => {
    if (table.tBodies[0].rows.length < 2) return;
    all("thead th:not(.run)", table).forEach((head) => {
      const button = make("button", { type: "button" }, head.textContent);
      head.dataset.name = head.textContent; // for paper
      head.replaceChildren(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const direction = NEXT[head.getAttribute("aria-sort")];
        sort(table, head.cellIndex, direction);
        const how = direction === "none" ? "in its first order" : direction;
        const title = table.closest(".table").querySelector("[id$='-title']").textContent;
        say(`${title}: ${button.textContent}, ${how}`);
      });
    });
  };

  // ---- filtering -------------------------------------------------------------------------
  const FEW = 4; // rows of a table that needs no filter of its own
  const filters = [];
  let overall = "";
  const apply = (filter) => {
    const wanted = `${overall} ${filter.input ? filter.input.value : ""}`.toLowerCase().split(/\s+/).filter(Boolean);
    let seen = 0;
    for (const row of filter.rows) {
      const shown = wanted.every((word) => row.text.includes(word));
      if (row.at.hidden === shown) row.at.hidden = !shown;
      seen += shown;
    }
    const every = filter.rows.length;
    filter.count.textContent = wanted.length ? `${seen} of ${every} rows` : "";
  };
  const filterable = (table) => {
    const rows = [...table.tBodies[0].rows].map((at) => ({ at, text: at.textContent.toLowerCase() }));
    const caption = table.querySelector("caption .caption");
    const title = caption.textContent.trim();
    const filter = { rows, input: null, count: make("span", { class: "count", role: "status" }) };
    if (rows.length > FEW) {
      filter.input = make("input", { type: "search", class: "filter", placeholder: "Filter rows", "aria-label": `Filter rows of ${title}` });
      filter.input.addEventListener("input", () => apply(filter));
      caption.append(filter.input);
    }
    caption.append(filter.count);
    filters.push(filter);
  };

  for (const table of all("main table")) {
    if (!table.closest(".values")) filterable(table);
    sortable(table);
  }

  // ---- boxes that scroll -----------------------------------------------------------------
  const boxes = all(".box");
  const fit = () => {
    for (const box of boxes) {
      const scrolls = box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1;
      if (scrolls) box.tabIndex = 0; else box.removeAttribute("tabindex");
      box.style.setProperty("--seen", `${box.clientWidth}px`);
    }
  };
  for (const box of boxes)
    box.addEventListener("scroll", () => box.classList.toggle("scrolled", box.scrollLeft > 0), { passive: true });
  addEventListener("resize", fit);
  document.addEventListener("toggle", fit, true);
  fit();

  // ---- tools -----------------------------------------------------------------------------
  const tools = document.getElementById("tools");
  const search = make("input", { type: "search", placeholder: "Filter all tables", "aria-label": "Filter the rows of all tables" });
  search.addEventListener("input", () => {
    overall = search.value;
    filters.forEach(apply);
  });
  const theme = make("button", { type: "button", id: "theme" });
  tools.append(search, theme);

  const prefers = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : prefers.matches);
  const named = () => { theme.textContent = dark() ? "Light" : "Dark"; theme.setAttribute("aria-label", `Switch to the ${dark() ? "light" : "dark"} theme`); };
  named();

  prefers.addEventListener("change", named);
  theme.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try { localStorage.setItem("reaugkd-theme", root.dataset.theme); } catch { /* storage may be forbidden */ }
    named();
  });

  // ---- pictures --------------------------------------------------------------------------
  const tip = document.getElementById("tip");
  const NEAR = 24; // pixels from which a mark can be told from its neighbours
  const middle = (mark) => {
    const box = mark.getBoundingClientRect();
    return [box.x + box.width / 2, box.y + box.height / 2, box];
  };
  const nearest = (panels, x, y) => {
    let [best, least] = [null, NEAR];
    for (const mark of all("[aria-label]", panels)) {
      const [mx, my, box] = middle(mark);
      const inside = x >= box.left && x <= box.right && y >= box.top && y <= box.bottom;
      const distance = inside ? Math.min(1, Math.hypot(x - mx, y - my)) : Math.hypot(x - mx, y - my);
      if (distance < least) [best, least] = [mark, distance];
    }
    return best;
  };
  for (const panels of all(".panels")) {
    panels.addEventListener("pointermove", (event) => {
      const mark = nearest(panels, event.clientX, event.clientY);
      tip.textContent = mark ? mark.getAttribute("aria-label") : "";
      if (!mark) return;
      const [x, , box] = middle(mark);
      const [width, height] = [tip.offsetWidth, tip.offsetHeight];
      tip.style.left = `${Math.max(8, Math.min(x - width / 2, innerWidth - width - 8))}px`;
      tip.style.top = `${box.top > height + 12 ? box.top - height - 6 : box.bottom + 6}px`;
    });
    panels.addEventListener("pointerleave", () => { tip.textContent = ""; });
  }
  addEventListener("scroll", () => { tip.textContent = ""; }, { passive: true });
  /** Where the mouse is on a line of a legend, all else but its colour is pale. */
  for (const entry of all(".legend li")) {
    const colour = (mark) => [mark.getAttribute("stroke"), mark.getAttribute("fill")].find((one) => /^var\(--s\d/.test(one));
    const marks = all("[stroke], [fill]", entry.closest("figure").querySelector(".panels"));
    const others = marks.filter((mark) => colour(mark) && colour(mark) !== entry.dataset.colour);
    const fade = (pale) => others.forEach((mark) => mark.classList.toggle("pale", pale));
    entry.addEventListener("pointerenter", () => fade(true));
    entry.addEventListener("pointerleave", () => fade(false));
  }

  // ---- commands --------------------------------------------------------------------------
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      say(`Copied: ${text}`);
    } catch {
      say(text); // a browser may forbid it: then it can be marked and copied by hand
    }
  };
  for (const command of all(".command")) {
    const code = command.querySelector("code");
    const label = command.dataset.what;
    const button = make("button", { type: "button", class: "copy", "aria-label": `Copy: ${label}` }, "Copy");
    button.addEventListener("click", () => copy(code.textContent));
    command.append(button);
  }
  for (const link of all(".run a")) {
    const labels = all("th, td.label", link.closest("tr")).map((cell) => cell.textContent);
    link.setAttribute("aria-label", `Command for ${labels.join(", ")}`);
    link.title = "Copy the command that makes this row again";
  }
  document.addEventListener("click", (event) => {
    const link = event.target.closest(".run a");
    if (!link) return;
    event.preventDefault();
    copy(document.querySelector(`${link.getAttribute("href")} code`).textContent);
  });

  // ---- where one is in the contents ------------------------------------------------------
  const links = new Map(all(".contents a").map((link) => [link.hash.slice(1), link]));
  const visible = new Set();
  const watch = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries)
      isIntersecting ? visible.add(target.id) : visible.delete(target.id);
    const first = [...links.keys()].find((id) => visible.has(id));
    for (const [id, link] of links)
      id === first ? link.setAttribute("aria-current", "true") : link.removeAttribute("aria-current");
  }, { rootMargin: "-10% 0px -60% 0px" });
  all("main > section[id]").forEach((section) => watch.observe(section));

  // ---- a run that is still going on ------------------------------------------------------
  const seconds = Number(root.dataset.refresh || 0);
  if (seconds > 0) {
    const KEPT = `reaugkd-live ${location.pathname}`;
    const pause = make("button", { type: "button", "aria-pressed": "false" }, "Pause updates");
    pause.addEventListener("click", () => {
      const paused = pause.getAttribute("aria-pressed") !== "true";
      pause.setAttribute("aria-pressed", String(paused));
    });
    tools.append(pause);
    const inputs = () => all("input[type=search]");
    try {
      const kept = JSON.parse(sessionStorage.getItem(KEPT) || "null");
      if (kept) {
        inputs().forEach((input, at) => {
          if (!kept.filters[at]) return;
          input.value = kept.filters[at];
          input.dispatchEvent(new Event("input"));
        });
        scrollTo({ top: kept.scroll, behavior: "instant" });
      }
    } catch { /* storage may be forbidden */ }
    setInterval(() => {
      if (document.hidden || pause.getAttribute("aria-pressed") === "true") return;
      if (inputs().includes(document.activeElement)) return; // never while someone types
      const state = { scroll: scrollY, filters: inputs().map((input) => input.value) };
      try { sessionStorage.setItem(KEPT, JSON.stringify(state)); } catch { /* as above */ }
      location.reload();
    }, seconds * 1000);
  }
})();

"use strict";
(() => {
  const KIND = 0, NAME = 1, FLASH = 2, SRAM = 3, FULL = 4, CHILDREN = 5;
  const MOST_CELLS = 500;      // drawn at once; what is smaller is in the table
  const MOST_PARTS = 200;      // rows of the table beside the map
  const ROWS_A_PAGE = 50;      // rows of the table of symbols; "Show more" adds as many again
  const LEVELS_SHOWN = 3;
  const HEADER_PIXELS = 21;
  const SMALLEST_PIXELS = 4;

  const byId = (id) => document.getElementById(id);
  const data = JSON.parse(byId("memory-data").textContent);
  const number = new Intl.NumberFormat("en-US");
  const bytes = (count) => `${number.format(count)} byte${count === 1 ? "" : "s"}`;
  const percent = (part, whole) => (whole ? `${(100 * part / whole).toFixed(1)} %` : "–");

  function element(tag, className, text) {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  }

  // ---- the tree -------------------------------------------------------------------------------------------------

  function grow(row, parent, index) {
    const node = {
      kind: data.kinds[row[KIND]], name: row[NAME], flash: row[FLASH], sram: row[SRAM], full: row[FULL] || "",
      parent, index, children: [],
    };
    node.category = node.kind === "category" ? node.name : parent ? parent.category : "";
    node.children = (row[CHILDREN] || []).map((child, at) => grow(child, node, at));
    return node;
  }
  const root = grow(data.tree, null, 0);
  root.name = "All";

  let memory = "flash";
  let current = root;

  const parts = (node) => node.children.filter((child) => child[memory] > 0).sort((a, b) => b[memory] - a[memory]);
  const pathTo = (node) => (node.parent ? [...pathTo(node.parent), node] : [node]);
  const label = (node) => (node === root ? (memory === "flash" ? "Flash" : "SRAM") : node.name);

  // Levels with a single part say nothing that the next one does not.
  function firstDivided(node) {
    for (let found = node; ; ) {
      const inside = parts(found);
      if (inside.length !== 1 || !inside[0].children.length) return found;
      found = inside[0];
    }
  }

  // ---- where we are, in the address, so that Back works --------------------------------------------------------

  const hashOf = (node) => `#${memory}/${pathTo(node).slice(1).map((step) => step.index).join("/")}`;

  function fromHash() {
    const [name, ...steps] = location.hash.slice(1).split("/");
    if (name !== "flash" && name !== "sram") return false;
    memory = name;
    current = root;
    for (const step of steps.filter(Boolean)) {
      const next = current.children[Number(step)];
      if (!next || !next.children.length || !next[memory]) break;
      current = next;
    }
    return true;
  }

  // An address without a place, as at first, is the map of flash.
  function start() {
    if (fromHash()) return;
    memory = "flash";
    current = firstDivided(root);
  }

  function open(node, focusNode) {
    current = node;
    location.hash = hashOf(node);
    show(focusNode);
  }

  // ---- treemap: squarified (Bruls, Huizing, van Wijk 2000) ---------------------------------------------------------

  function squarify(nodes, box, place) {
    let { x, y, width, height } = box;
    let left = nodes.reduce((sum, node) => sum + node[memory], 0);
    let at = 0;
    while (at < nodes.length && width > 0 && height > 0) {
      const side = Math.min(width, height);
      const scale = width * height / left;
      let count = 0, sum = 0, worst = Infinity;
      while (at + count < nodes.length) {
        const more = sum + nodes[at + count][memory];
        const largest = nodes[at][memory], smallest = nodes[at + count][memory];
        const ratio = Math.max(side * side * largest / (more * more * scale), more * more * scale / (side * side * smallest));
        if (ratio > worst) break;
        worst = ratio;
        sum = more;
        count += 1;
      }
      const thick = sum * scale / side;
      let along = 0;
      for (const node of nodes.slice(at, at + count)) {
        const long = node[memory] / sum * side;
        place(node, width >= height
          ? { x, y: y + along, width: thick, height: long }
          : { x: x + along, y, width: long, height: thick });
        along += long;
      }
      if (width >= height) { x += thick; width -= thick; } else { y += thick; height -= thick; }
      left -= sum;
      at += count;
    }
  }

  const map = byId("map");
  const info = byId("info");
  let cells = [];

  function cell(node, box, level, isGroup) {
    const made = element("button", `c-${node.category || "none"} ${isGroup ? "group" : ""} ${node.children.length ? "" : "leaf"}`);
    made.type = "button";
    made.tabIndex = -1;
    const share = `${bytes(node[memory])}, ${percent(node[memory], current[memory])}`;
    const inside = parts(node).length;
    made.setAttribute("aria-label", `${node.kind} ${node.name}: ${share}${inside ? `; ${inside} part${inside === 1 ? "" : "s"} inside` : ""}`);
    made.style.left = `${box.x}px`;
    made.style.top = `${box.y}px`;
    made.style.width = `${box.width}px`;
    made.style.height = `${box.height}px`;
    if (box.width < 34 || box.height < 17) made.classList.add("tight");
    made.append(element("span", "name", node.name));
    if (isGroup || box.height >= 36) made.append(element("span", "size", `${number.format(node[memory])} · ${percent(node[memory], current[memory])}`));
    made.addEventListener("click", () => openCell(node));
    made.addEventListener("focus", () => tell(node));
    made.addEventListener("pointerenter", () => tell(node));
    cells.push({ made, node, box: isGroup ? { ...box, height: HEADER_PIXELS } : box });
    map.append(made);
  }

  function openCell(node) {
    const target = node.children.length ? firstDivided(node) : node.parent;
    if (target !== current) open(target, node);
  }

  function draw(nodes, box, level) {
    squarify(nodes, box, (node, place) => {
      if (place.width < SMALLEST_PIXELS || place.height < SMALLEST_PIXELS || cells.length >= MOST_CELLS) return;
      const isGroup = level < LEVELS_SHOWN && node.children.length > 0 && place.width >= 70 && place.height >= 56;
      cell(node, place, level, isGroup);
      if (isGroup) {
        draw(parts(node), { x: place.x + 3, y: place.y + HEADER_PIXELS, width: place.width - 6, height: place.height - HEADER_PIXELS - 3 }, level + 1);
      }
    });
  }

  function drawMap(focusNode) {
    const hadFocus = focusNode || (cells.find((entry) => entry.made === document.activeElement) || {}).node;
    cells = [];
    map.replaceChildren();
    draw(parts(current), { x: 0, y: 0, width: map.clientWidth, height: map.clientHeight }, 1);
    map.setAttribute("aria-label", `Map of ${pathTo(current).map(label).join(", ")}: ${bytes(current[memory])}`);
    if (!cells.length) map.append(element("p", "empty", `Nothing of ${label(root)} is used here.`));
    const marked = cells.find((entry) => entry.node === hadFocus) || cells[0];
    if (marked) marked.made.tabIndex = 0;
    if (marked && hadFocus) marked.made.focus({ preventScroll: true });
    else tell(current);
  }

  function tell(node) {
    const way = pathTo(node).map(label);
    info.replaceChildren(element("b", "", way.pop()), ` ${node === root ? "" : node.kind} `, `${bytes(node[memory])}, ${percent(node[memory], root[memory])} of ${label(root)}`);
    if (way.length > 1) info.append(`, in ${way.slice(1).reverse().join(", in ")}`);
    if (node.full && node.full !== node.name) info.append(element("br"), element("code", "", node.full));
    for (const row of byId("parts").tBodies[0].rows) row.classList.toggle("marked", row.node === node);
  }

  const DIRECTIONS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

  // The nearest cell whose near edge lies in that direction; across counts double, so that rows are kept.
  function neighbour(from, [dx, dy]) {
    let best = null, least = Infinity;
    const middle = (box) => [box.x + box.width / 2, box.y + box.height / 2];
    const [fromX, fromY] = middle(from.box);
    for (const other of cells) {
      const [x, y] = middle(other.box);
      const ahead = (x - fromX) * dx + (y - fromY) * dy;
      if (other === from || ahead < 1) continue;
      const aside = dx
        ? Math.max(0, other.box.y - fromY, fromY - other.box.y - other.box.height)
        : Math.max(0, other.box.x - fromX, fromX - other.box.x - other.box.width);
      const distance = ahead + 2 * aside;
      if (distance < least) { least = distance; best = other; }
    }
    return best;
  }

  map.addEventListener("keydown", (event) => {
    const from = cells.find((entry) => entry.made === document.activeElement);
    if (event.key === "Escape" && current.parent) {
      const left = current;
      let above = current.parent;
      while (above.parent && parts(above).length === 1) above = above.parent;
      event.preventDefault();
      open(above, left);
    } else if (from && DIRECTIONS[event.key]) {
      event.preventDefault();
      const next = neighbour(from, DIRECTIONS[event.key]);
      if (next) {
        from.made.tabIndex = -1;
        next.made.tabIndex = 0;
        next.made.focus();
      }
    }
  });

  // ---- the same as a table, and the way back up ----------------------------------------------------------------------

  function showParts() {
    const table = byId("parts"), body = table.tBodies[0], inside = parts(current);
    byId("parts-caption").textContent = `${label(current)}: ${bytes(current[memory])} in ${number.format(inside.length)} part${inside.length === 1 ? "" : "s"}`;
    body.replaceChildren(...inside.slice(0, MOST_PARTS).map((node) => {
      const row = element("tr"), name = element("th");
      row.node = node;
      name.scope = "row";
      if (node.children.length) {
        const into = element("button", "", node.name);
        into.type = "button";
        into.addEventListener("click", () => {
          open(firstDivided(node));
          const first = body.querySelector("button") || byId("crumbs").querySelector("button:last-child");
          if (first) first.focus({ preventScroll: true });
        });
        name.append(into);
      } else {
        name.textContent = node.name;
      }
      row.addEventListener("pointerenter", () => tell(node));
      row.append(name, element("td", "number", number.format(node[memory])), element("td", "number", percent(node[memory], current[memory])));
      return row;
    }));
    const others = inside.slice(MOST_PARTS);
    if (others.length) {
      const row = element("tr"), name = element("th", "", `${number.format(others.length)} smaller; the search below finds them`);
      const size = others.reduce((sum, node) => sum + node[memory], 0);
      name.scope = "row";
      row.append(name, element("td", "number", number.format(size)), element("td", "number", percent(size, current[memory])));
      body.append(row);
    }
  }

  function showCrumbs() {
    byId("crumbs").replaceChildren(...pathTo(current).map((node) => {
      const item = element("li"), button = element("button", "", label(node));
      button.type = "button";
      if (node === current) button.setAttribute("aria-current", "location");
      else button.addEventListener("click", () => open(node));
      item.append(button);
      return item;
    }));
  }

  function show(focusNode) {
    for (const choice of document.getElementsByName("memory")) choice.checked = choice.value === memory;
    showCrumbs();
    showParts();
    drawMap(focusNode);
  }

  for (const choice of document.getElementsByName("memory")) {
    choice.addEventListener("change", () => {
      memory = choice.value;
      open(firstDivided(root));
    });
  }
  window.addEventListener("hashchange", () => {
    if (location.hash === hashOf(current)) return;
    start();
    show();
  });

  // ---- table of symbols and objects ----------------------------------------------------------------------------------

  // An initialised variable stands in two regions and is one row here.
  function collect() {
    const symbols = new Map(), objects = new Map();
    const add = (rows, key, made, node) => {
      const row = rows.get(key) || made();
      rows.set(key, row);
      row.flash += node.flash;
      row.sram += node.sram;
    };
    const visit = (node, object, archive) => {
      if (node.kind === "archive") archive = node;
      if (node.kind === "object") object = node;
      if (node.children.length) {
        node.children.forEach((child) => visit(child, object, archive));
        return;
      }
      const home = object || archive;
      const place = object ? object.name : "";
      const where = archive ? archive.name : object ? object.full.slice(0, -object.name.length - 1) : "";
      const key = [node.category, archive ? archive.full || archive.name : "", object ? object.full || object.name : ""].join("\n");
      add(symbols, [key, node.name, node.full, node.kind].join("\n"), () => row(node.name, node.full, place, where, node.category), node);
      add(objects, key, () => row(home ? place || where : node.name, object ? object.full : "", archive ? archive.name : "", archive ? archive.full : "", node.category), node);
    };
    visit(root, null, null);
    return { symbols: [...symbols.values()], objects: [...objects.values()] };
  }

  function row(name, full, object, where, category) {
    const words = `${name}\n${full}\n${object}\n${where}\n${category}`.toLowerCase();
    return { name, full: full === name ? "" : full, object, where: where === object ? "" : where, category, words, flash: 0, sram: 0 };
  }

  const tables = collect();
  const symbolTable = byId("symbols");
  const search = byId("search");
  const more = byId("more");
  const order = { column: "flash", descending: true };
  let rowsShown = ROWS_A_PAGE;

  function compare(a, b) {
    const isNumber = order.column === "flash" || order.column === "sram";
    const difference = isNumber ? a[order.column] - b[order.column] : a[order.column] < b[order.column] ? -1 : Number(a[order.column] > b[order.column]);
    return (order.descending ? -difference : difference) || b.flash + b.sram - a.flash - a.sram || (a.name < b.name ? -1 : Number(a.name > b.name));
  }

  function cellWith(tag, text, small) {
    const made = element(tag, "", text);
    if (small) made.append(element("small", "code", small));
    return made;
  }

  function showSymbols() {
    const kind = document.querySelector("input[name=rows]:checked").value;
    const all = tables[kind], words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = all.filter((entry) => words.every((word) => entry.words.includes(word))).sort(compare);
    const shown = found.slice(0, rowsShown);
    symbolTable.tBodies[0].replaceChildren(...shown.map((entry) => {
      const made = element("tr"), name = cellWith("th", entry.name, entry.full);
      name.scope = "row";
      made.append(name, cellWith("td", entry.object, entry.where), element("td", "", entry.category),
        element("td", "number", number.format(entry.flash)), element("td", "number", number.format(entry.sram)));
      return made;
    }));
    for (const head of symbolTable.tHead.rows[0].cells) {
      if (head.dataset.column !== order.column) head.removeAttribute("aria-sort");
      else head.setAttribute("aria-sort", order.descending ? "descending" : "ascending");
    }
    const sum = (column) => bytes(found.reduce((total, entry) => total + entry[column], 0));
    const matching = words.length ? `${number.format(found.length)} of ${number.format(all.length)} ${kind} match` : `${number.format(all.length)} ${kind}`;
    byId("found").textContent = `${matching}: ${sum("flash")} of flash, ${sum("sram")} of SRAM. ${found.length > shown.length ? `The first ${number.format(shown.length)} are shown.` : "All are shown."}`;
    more.hidden = found.length <= shown.length;
  }

  symbolTable.tHead.addEventListener("click", (event) => {
    const head = event.target.closest("th");
    if (!event.target.closest("button")) return;
    const column = head.dataset.column;
    order.descending = column === order.column ? !order.descending : column === "flash" || column === "sram";
    order.column = column;
    rowsShown = ROWS_A_PAGE;
    showSymbols();
  });
  search.addEventListener("input", () => {
    rowsShown = ROWS_A_PAGE;
    showSymbols();
  });
  for (const choice of document.getElementsByName("rows")) choice.addEventListener("change", showSymbols);
  more.addEventListener("click", () => {
    rowsShown += ROWS_A_PAGE;
    showSymbols();
  });

  // ---- start ---------------------------------------------------------------------------------------------------------

  start();
  show();
  showSymbols();
  let width = map.clientWidth;
  new ResizeObserver(() => {
    if (map.clientWidth === width) return;
    width = map.clientWidth;
    drawMap();
  }).observe(map);
})();

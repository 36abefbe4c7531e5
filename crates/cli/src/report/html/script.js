// Shows the values of all lines at the pointer. Without it the page shows the same in tables.
"use strict";
{
  const digits = (v) => v >= 100 ? Math.round(v).toLocaleString("en") : v.toPrecision(3);
  const time = (s) => s >= 1 || s === 0 ? digits(s) + " s" : s >= 1e-3 ? digits(s * 1e3) + " ms"
    : s >= 1e-6 ? digits(s * 1e6) + " µs" : digits(s * 1e9) + " ns";
  const percent = (v) => +(v * 100).toFixed(4) + " %";
  const written = { time, share: percent, nines: (n) => percent(1 - 10 ** -n) };
  // Turns coordinates back into values, by the axis that the drawing describes.
  const axis = (text) => {
    const [kind, scale, ...numbers] = text.split(" ");
    const [from, to, start, end] = numbers.map(Number);
    const value = (coordinate) => {
      const part = (coordinate - start) / (end - start);
      return scale === "log" ? from * (to / from) ** part : from + part * (to - from);
    };
    return { start, end, text: (coordinate) => written[kind](value(coordinate)) };
  };
  const points = (line) => line.getAttribute("d").slice(1).split("L").map((p) => p.split(" ").map(Number));
  const height = (line, x) => {
    const after = line.findIndex((p) => p[0] >= x);
    if (after < 0 || (after === 0 && line[0][0] > x + 1)) return null;
    const [a, b] = [line[Math.max(after - 1, 0)], line[after]];
    return b[0] === a[0] ? b[1] : a[1] + (b[1] - a[1]) * (x - a[0]) / (b[0] - a[0]);
  };
  const shown = (element) => getComputedStyle(element).display !== "none";
  const element = (parent, name, text) => {
    const child = parent.appendChild(document.createElement(name));
    child.textContent = text;
    return child;
  };
  for (const plot of document.querySelectorAll(".plot:has([data-x])")) {
    const reading = plot.appendChild(document.createElement("div"));
    reading.className = "reading";
    reading.hidden = true;
    reading.setAttribute("aria-hidden", "true");
    const cursors = new Map([...plot.querySelectorAll("svg")].map((svg) => {
      const cursor = svg.appendChild(document.createElementNS(svg.namespaceURI, "path"));
      cursor.setAttribute("class", "cursor");
      return [svg, cursor];
    }));
    const leave = () => {
      reading.hidden = true;
      for (const cursor of cursors.values()) cursor.removeAttribute("d");
    };
    const move = (event) => {
      const svg = [...cursors.keys()].find(shown);
      const box = svg.getBoundingClientRect();
      const [x, y] = [axis(svg.dataset.x), axis(svg.dataset.y)];
      const at = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
      if (at < x.start || at > x.end) return leave();
      cursors.get(svg).setAttribute("d", `M${at} ${y.start}V${y.end}`);
      const lines = [...svg.querySelectorAll("[data-name]")].filter((line) => shown(line.parentNode))
        .map((line) => [line, height(points(line), at)]).filter(([, y]) => y !== null)
        .sort((a, b) => a[1] - b[1]);
      reading.replaceChildren();
      element(reading, "b", x.text(at));
      for (const [line, height] of lines) {
        const row = element(reading, "span", "");
        row.className = line.parentNode.getAttribute("class");
        element(row, "i", line.dataset.name).style.fontStyle = "normal";
        element(row, "i", y.text(height)).style.fontStyle = "normal";
      }
      reading.hidden = false;
      const left = event.clientX - box.left;
      const room = plot.clientWidth - reading.offsetWidth;
      const wanted = left > plot.clientWidth / 2 ? left - reading.offsetWidth - 14 : left + 14;
      reading.style.left = `${Math.max(0, Math.min(wanted, room))}px`;
    };
    plot.addEventListener("pointermove", move);
    plot.addEventListener("pointerdown", move);
    plot.addEventListener("pointerleave", leave);
  }
}

// What the pages promise beyond being readable, by what is on them. Each check returns complaints;
// the script that is sent to the page returns them, too.

const kReport = {
  "sorted by a click on a column's name": tab => tab.value(`(() => {
    const complaints = [];
    const table = [...document.querySelectorAll("table")].find(one =>
      !one.closest("details") && [...one.tBodies].some(body => body.rows.length > 3));
    if (!table) return ["there is no table to sort"];
    const heading = table.tHead.rows[0].cells[0];
    const namesIn = body => [...body.rows].filter(row => !row.querySelector("th.group"))
      .map(row => row.cells[0].textContent);
    for (const [order, sign] of [["ascending", 1], ["descending", -1]]) {
      heading.querySelector("button").click();
      if (heading.getAttribute("aria-sort") !== order) complaints.push("not told as " + order);
      for (const body of table.tBodies) {
        const names = namesIn(body);
        const sorted = [...names].sort((a, b) => sign * a.localeCompare(b));
        if (names.join() !== sorted.join()) complaints.push(names.join(" ") + ": not " + order);
        if (body.querySelector("th.group") && !body.rows[0].querySelector("th.group"))
          complaints.push("a group's title is not above its rows");
      }
    }
    return complaints;
  })()`),
  "filtered by what is typed": tab => tab.value(`(() => {
    const input = document.querySelector(".filter input");
    if (!input) return ["there is no filter"];
    const type = words => { input.value = words; input.dispatchEvent(new Event("input")); };
    const shown = () => [...document.querySelectorAll("main tbody tr")].filter(row =>
      !row.hidden && !row.closest("[hidden]") && !row.querySelector("th.group"));
    const all = shown().length;
    const word = document.querySelector("tbody th[scope=row]").textContent;
    const complaints = [];
    type(word);
    const some = shown();
    if (some.length === 0 || some.length >= all) complaints.push(some.length + " of " + all);
    if (some.some(row => !row.textContent.includes(word))) complaints.push("a row without " + word);
    if (!document.querySelector(".filter output").textContent) complaints.push("no count is told");
    type("no row has this");
    if (shown().length > 0) complaints.push("rows that do not match are shown");
    type("");
    if (shown().length !== all) complaints.push("not all rows come back");
    return complaints;
  })()`),
  "opened where a verdict leads": tab => tab.value(`(async () => {
    const link = document.querySelector("td a[href^='#']");
    if (!link) return ["no verdict leads to a finding"];
    const finding = document.getElementById(link.hash.slice(1));
    if (finding?.tagName !== "DETAILS") return [link.hash + " is no finding"];
    const changed = new Promise(done => addEventListener("hashchange", done, { once: true }));
    link.click();
    await changed;
    await new Promise(done => setTimeout(done, 0));
    return finding.open ? [] : [link.hash + " stays folded"];
  })()`),
  "drawn whole: each panel within the window": tab => tab.value(`
    [...document.querySelectorAll(".panels svg")].map(svg => svg.getBoundingClientRect())
      .filter(box => box.left < 0 || box.right > document.documentElement.clientWidth)
      .map(box => "a panel from " + box.left + " to " + box.right + " px")`),
  "clear without colour: a sign before each verdict": tab => tab.value(`
    [...document.querySelectorAll("td.good, td.bad, td.open")].filter(cell =>
      !/[\\u2713\\u2717?]/.test(getComputedStyle(cell, "::before").content))
      .map(cell => cell.textContent)`),
};

const kTimeline = {
  "labelled without collisions": tab => tab.value(`(() => {
    const boxes = [...document.querySelectorAll("svg .axis")].map(text => [text.textContent,
      text.getBoundingClientRect()]);
    if (boxes.length < 2) return ["no labels on the axis"];
    const complaints = [];
    for (let i = 0; i < boxes.length; ++i) {
      for (let j = i + 1; j < boxes.length; ++j) {
        const [[a, x], [b, y]] = [boxes[i], boxes[j]];
        if (x.left < y.right && y.left < x.right && x.top < y.bottom && y.top < x.bottom)
          complaints.push(a + " over " + b);
      }
    }
    return complaints;
  })()`),
  "zoomed by its buttons": tab => tab.value(`(() => {
    const svg = document.querySelector("svg.timeline");
    const width = () => svg.getBoundingClientRect().width;
    const before = width();
    const press = name => document.querySelector("button[data-zoom='" + name + "']").click();
    const complaints = [];
    press("in");
    if (!(width() > before)) complaints.push("'in' makes it no wider");
    press("out"); press("out");
    if (!(width() < before)) complaints.push("'out' makes it no narrower");
    press("fit");
    const room = svg.closest(".scroll").clientWidth;
    if (width() > room + 1) complaints.push("'fit' leaves " + width() + " px in " + room);
    press("one");
    if (Math.abs(width() - before) > 1) complaints.push("it does not come back");
    return complaints;
  })()`),
  "telling of an operation under the pointer, and in focus": async tab => {
    const complaints = [];
    const told = () => tab.value("document.querySelector('#told').textContent");
    const wanted = await tab.value(`(() => {
      const bar = document.querySelector("svg .operation");
      bar.scrollIntoView({ block: "center", inline: "start" });
      return bar.querySelector("title").textContent; })()`);
    const [x, y] = await tab.value(`(() => {
      const box = document.querySelector("svg .operation rect").getBoundingClientRect();
      return [box.left + Math.min(6, box.width / 2), box.top + box.height / 2]; })()`);
    await tab.pointTo(x, y);
    if (!(await told()).includes(wanted)) complaints.push(`under the pointer: ${await told()}`);
    const last = await tab.value(`(() => {
      const bars = [...document.querySelectorAll("svg .operation")];
      const bar = bars[bars.length - 1];
      bar.focus();
      return bar.querySelector("title").textContent; })()`);
    if (!(await told()).includes(last)) complaints.push(`in focus: ${await told()}`);
    return complaints;
  },
  "telling how to repeat it, and what holds": tab => tab.value(`
    ["repeat", "conditions"].filter(id => !document.getElementById(id)?.textContent.trim())
      .map(id => "nothing about " + id)`),
};

const kCoverage = {
  "an index with a bar for each file": tab => tab.value(`
    [...document.querySelectorAll("tbody tr")].filter(row => !row.querySelector(".bar"))
      .map(row => "no bar of " + row.cells[0].textContent)`),
};

// What makes a check fail, done to a page on purpose before it is asked: a check that is then
// content checks nothing.
export const kBreakages = {
  "no error, and nothing from elsewhere": "void fetch('http://127.0.0.1:1/').catch(() => {})",
  "not wider than the window": "document.body.style.minWidth = '3000px'",
  "follows the scheme": "document.body.style.background = 'black'",
  "accessible (axe-core)": "document.querySelector('main').style.color = 'rgb(190, 190, 190)'",
  "sorted by a click on a column's name":
    "for (const button of document.querySelectorAll('thead button')) " +
    "button.replaceWith(button.cloneNode(true))",
  "filtered by what is typed": "document.querySelector('.filter input').replaceWith(" +
    "document.querySelector('.filter input').cloneNode(true))",
  "opened where a verdict leads":
    "for (const finding of document.querySelectorAll('details')) finding.id = ''",
  "drawn whole: each panel within the window":
    "document.querySelector('.panels').style.marginLeft = '300px'; " +
    "document.querySelector('.panels').style.width = '2000px'",
  "clear without colour: a sign before each verdict": "document.head.insertAdjacentHTML(" +
    "'beforeend', '<style>td::before { content: none !important; }</style>')",
  "labelled without collisions": "for (const text of document.querySelectorAll('svg .axis')) " +
    "text.setAttribute('x', 100)",
  "zoomed by its buttons": "for (const button of document.querySelectorAll('button')) " +
    "button.replaceWith(button.cloneNode(true))",
  "telling of an operation under the pointer, and in focus":
    "document.querySelector('#told').id = 'elsewhere'; document.body.insertAdjacentHTML(" +
    "'beforeend', '<p id=told></p>')",
  "telling how to repeat it, and what holds": "document.querySelector('#repeat').remove()",
  "an index with a bar for each file":
    "for (const bar of document.querySelectorAll('table .bar')) bar.remove()",
};

// The checks of the page that the tab shows.
export async function behaviours(tab) {
  if (await tab.value("document.querySelector('svg.timeline') !== null")) return kTimeline;
  if (await tab.value("document.querySelector('[data-page=coverage-index]') !== null")) {
    return kCoverage;
  }
  const isReport = await tab.value("document.getElementById('choose') !== null");
  return isReport ? kReport : {};
}

// What scripts add to the pages: none is needed for reading.
"use strict";

// Moments in the browser's own time zone, all of a page in the same, which its foot names; and in
// every language as year, month and day.
const two = (number) => String(number).padStart(2, "0");
const local = (at) =>
  `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
const place = document.getElementById("zone");
if (place !== null) {
  for (const time of document.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) {
      time.title = time.dateTime;
      time.textContent = local(at);
    }
  }
  // Those that stand among other words say that they are UTC.
  const moment = /\b(\d{4}-\d\d-\d\d) (\d\d:\d\d) UTC\b/g;
  const walk = document.createTreeWalker(document.getElementById("content"), NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node !== null; node = walk.nextNode()) {
    const text = node.nodeValue.replace(moment, (whole, day, hour) => {
      const at = new Date(`${day}T${hour}:00Z`);
      return Number.isNaN(at.getTime()) ? whole : local(at);
    });
    if (text !== node.nodeValue) node.nodeValue = text;
  }
  place.textContent = Intl.DateTimeFormat().resolvedOptions().timeZone;
}

// A choice of language or colours is taken at once.
for (const form of document.querySelectorAll("form[action='/preferences']")) {
  form.addEventListener("change", () => form.requestSubmit());
}

// What cannot be undone is asked about.
for (const form of document.querySelectorAll("form[data-ask]")) {
  form.addEventListener("submit", (event) => {
    if (!window.confirm(form.dataset.ask)) event.preventDefault();
  });
}

// What changes while one looks: the events of an address bring text for elements by their ids.
for (const live of document.querySelectorAll("[data-live]")) {
  const source = new EventSource(live.dataset.live);
  source.addEventListener("values", (event) => {
    const values = JSON.parse(event.data);
    for (const [id, text] of Object.entries(values)) {
      const element = document.getElementById(id);
      if (element === null) continue;
      if (element.tagName === "PROGRESS") element.value = Number(text);
      else element.textContent = text;
    }
  });
  source.addEventListener("end", () => {
    source.close();
    window.location.reload();
  });
}

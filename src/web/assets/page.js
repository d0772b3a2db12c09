// What scripts add to the pages: none is needed for reading.
"use strict";

// Moments in the browser's own time zone.
const zone = new Intl.DateTimeFormat(document.documentElement.lang, {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit",
});
for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (!Number.isNaN(at.getTime())) {
    time.title = time.textContent;
    time.textContent = zone.format(at);
  }
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

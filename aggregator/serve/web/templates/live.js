// Shows an operation's progress as it comes: whenever it changes, the page is asked for
// again and its changing part taken over. The server makes the HTML; nothing is built here.
"use strict";
(() => {
  const part = document.getElementById("live");
  const events = new EventSource(part.dataset.events);
  let asking = false, again = false;
  const refresh = async () => {
    if (asking) {
      again = true;
      return;
    }
    asking = true;
    do {
      again = false;
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } }).catch(() => null);
      if (!answer || !answer.ok) break;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("live");
      if (!fresh) break;
      part.replaceChildren(...fresh.childNodes);
      if (!fresh.dataset.events) events.close();
    } while (again);
    asking = false;
  };
  events.addEventListener("state", refresh);
  events.addEventListener("error", () => { if (events.readyState === EventSource.CLOSED) refresh(); });
})();

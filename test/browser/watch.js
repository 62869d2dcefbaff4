// Tells the test that the page has changed, so that what waits looks again.
(() => {
  const tell = () => globalThis.gopprofChanged('');
  new MutationObserver(tell).observe(document, {attributes: true, characterData: true, childList: true, subtree: true});
  for (const name of ['animationend', 'change', 'focusin', 'hashchange', 'input', 'load', 'pageshow', 'popstate', 'resize', 'scroll', 'toggle', 'transitionend'])
    addEventListener(name, tell, {capture: true, passive: true});
})();

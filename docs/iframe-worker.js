// Search without a server. Browsers start no worker from a file, so the worker's script runs in a hidden frame, with
// the two functions of a worker that it calls. Over http the browser's own workers are used.
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inner = frame.contentWindow;
      const answer = data => {
        const event = new MessageEvent("message", { data });
        this.dispatchEvent(event);
        if (this.onmessage) this.onmessage(event);
      };
      inner.postMessage = answer;
      inner.importScripts = (...scripts) =>
        scripts.reduce((before, src) => before.then(() => load(inner, src)), Promise.resolve());
      this.ready = load(inner, url);
      this.frame = frame;
    }
    postMessage(data) {
      const inner = this.frame.contentWindow;
      this.ready = this.ready.then(() => inner.dispatchEvent(new MessageEvent("message", { data })));
    }
    terminate() {
      this.frame.remove();
    }
  };
  const load = (inner, src) =>
    new Promise((done, failed) => {
      const script = inner.document.createElement("script");
      script.src = src;
      script.onload = done;
      script.onerror = failed;
      inner.document.documentElement.append(script);
    });
}

// The connection to the server: lines of JSON over one request, opened again by itself.

const STALE_MS = 6000; // the server writes at least every 2 s
const GIVE_UP_MS = 15000; // then the connection is opened anew
const PAUSES_MS = [500, 1000, 2000, 5000, 10000];

export class Feed {
  // token(): what to show the server; message(m): takes a message; refused(why): a token is needed.
  constructor({ token, message, refused }) {
    Object.assign(this, { token, message, refused });
    this.heardAt = performance.now();
    this.open = false;
    this.failures = 0;
    this.waiting = null;
    this.request = null;
    setInterval(() => this.watch(), 1000);
    addEventListener("online", () => this.connect());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.watch(); });
    this.connect();
  }

  // For how long nothing came, in seconds; 0 while all is well.
  get staleFor() {
    const silent = performance.now() - this.heardAt;
    return silent > STALE_MS ? silent / 1000 : 0;
  }

  // When something came last, as a time of day: it stays, so that a screen reader says it once.
  get since() {
    return new Date(performance.timeOrigin + this.heardAt).toLocaleTimeString();
  }

  headers() {
    const token = this.token();
    return token ? { authorization: `Bearer ${token}` } : {};
  }

  watch() {
    const silent = performance.now() - this.heardAt;
    if (this.open && silent > GIVE_UP_MS) this.connect();
  }

  async connect() {
    clearTimeout(this.waiting);
    this.request?.abort();
    const request = (this.request = new AbortController());
    this.open = true;
    try {
      const answer = await fetch("wallboard/feed", {
        headers: this.headers(), cache: "no-store", signal: request.signal,
      });
      if (answer.status === 403) {
        this.open = false;
        this.refused(await answer.text());
        return;
      }
      if (!answer.ok) throw new Error(`the server says ${answer.status}`);
      await this.read(answer.body);
    } catch {
      // as when the connection ends: it is tried again
    }
    if (request !== this.request) return; // another one has taken its place
    this.open = false;
    const pause = PAUSES_MS[Math.min(this.failures++, PAUSES_MS.length - 1)];
    this.waiting = setTimeout(() => this.connect(), pause * (0.75 + Math.random() / 2));
  }

  async read(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        this.heardAt = performance.now();
        this.failures = 0;
        this.message(JSON.parse(line));
      }
    }
  }

  // Asks for something once; returns the answer, or throws what went wrong.
  async ask(path, body) {
    const answer = await fetch(path, {
      method: body ? "POST" : "GET", body: body && JSON.stringify(body), headers: this.headers(), cache: "no-store",
    });
    if (!answer.ok) throw new Error(await answer.text());
    return answer;
  }
}

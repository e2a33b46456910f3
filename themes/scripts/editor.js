// Saves a draft while it is written, and warns before a page with unsaved text is left. The form
// works without this module.
//
// The form's attributes: data-saved is "yes" if the node has the form's content; data-autosave has
// the text for a draft that the node refuses for no field of it, and is absent if nothing may be
// saved without a button; data-unreached has the text for a node that does not answer; data-pause
// has another pause; data-enter keeps Enter from sending. Files are sent by a button alone. #enclosed lists the files that are stored.

/** The pause in typing after which a draft is saved, in milliseconds. */
const PAUSE_MS = 2000;
/** The longest pause before a node that does not answer is asked again, in milliseconds. */
const RETRY_MS_MAX = 60_000;

/** The fields that name the version of the draft, and those that the node fills in. */
const VERSION = 'input[name=id], input[name=revision], input[name=draft]';
const NODES_OWN = ['revision', 'id', 'draft', 'forward', 'forwarded', 'take', 'files'];

const form = document.querySelector('form[data-saved]');
const state = document.querySelector('#state');
const pauseMs = Number(form.dataset.pause) || PAUSE_MS;

let saved = form.dataset.saved === 'yes' ? content() : '';
let timer = 0;
let request = null;
let isSubmitted = false;
let isRefused = false;
let refusal = '';
let retryMs = pauseMs;

function content() {
  const fields = new FormData(form);
  for (const name of NODES_OWN) fields.delete(name);
  return new URLSearchParams(fields).toString();
}

function isChanged() {
  return content() !== saved;
}

/** The node refuses a draft without text and photos. */
function isEmpty() {
  return form.elements.text.value.trim() === '' && !new FormData(form).has('photo[]');
}

/** Takes over the address and the revision of the stored draft from the node's page of it. */
function adopt(page, address) {
  const stored = page.querySelector('form[data-saved]');
  const version = stored?.querySelector('input[name=revision], input[name=draft]');
  if (!version?.value) return false;
  const [before, after] = [form.getAttribute('action'), stored.getAttribute('action')];
  form.setAttribute('action', after);
  for (const button of form.querySelectorAll('[formaction]')) {
    button.setAttribute('formaction', button.getAttribute('formaction').replace(before, after));
  }
  form.querySelector(VERSION).replaceWith(document.importNode(version));
  const enclosed = stored.querySelector('#enclosed');
  if (enclosed) form.querySelector('#enclosed').replaceWith(document.importNode(enclosed, true));
  history.replaceState(history.state, '', address.pathname + (version.name === 'draft' ? `?draft=${version.value}` : ''));
  state.textContent = page.querySelector('#state')?.textContent ?? '';
  return true;
}

/** Sends a draft. Throws if the node does not answer or cannot save now. */
async function send(sent) {
  const fields = new FormData(form);
  fields.delete('files');
  const body = new URLSearchParams(fields);
  body.append('intent', 'draft');
  const response = await fetch(form.action, { method: 'POST', body });
  const text = await response.text();
  if (response.status >= 500 || response.status === 429) throw new Error(response.status);
  const page = new DOMParser().parseFromString(text, 'text/html');
  isRefused = !response.ok || !adopt(page, new URL(response.url));
  // The cause is said if it is a field's. One of the whole form needs its buttons.
  refusal = (page.querySelector('[aria-invalid=true]') && page.querySelector('#fault')?.textContent) || form.dataset.autosave;
  if (!isRefused) saved = sent;
}

async function save() {
  clearTimeout(timer);
  if (request || isSubmitted || isRefused || isEmpty() || !isChanged()) return;
  request = send(content());
  try {
    await request;
    retryMs = pauseMs;
    if (isRefused) state.textContent = refusal;
  } catch {
    retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
    state.textContent = form.dataset.unreached;
  } finally {
    request = null;
  }
  if (!isRefused && isChanged()) schedule(retryMs);
}

function schedule(ms) {
  clearTimeout(timer);
  timer = setTimeout(save, ms);
}

if ('autosave' in form.dataset) {
  form.addEventListener('input', () => {
    isRefused = false;
    schedule(pauseMs);
  });
  document.addEventListener('visibilitychange', () => { if (document.hidden) save(); });
  addEventListener('online', save);
  if (isChanged()) schedule(pauseMs);
}

// Enter in a field of one line would press the form's first button.
if ('enter' in form.dataset) {
  form.addEventListener('keydown', (event) => {
    const isLine = event.target.matches('input:not([type=checkbox], [type=file])');
    if (event.key === 'Enter' && isLine) event.preventDefault();
  });
}

form.addEventListener('submit', (event) => {
  clearTimeout(timer);
  if (request) {
    // The form needs the revision that this request makes.
    event.preventDefault();
    const { submitter } = event;
    request.catch(() => {}).finally(() => setTimeout(() => form.requestSubmit(submitter)));
    return;
  }
  isSubmitted = true;
});

addEventListener('pageshow', () => { isSubmitted = false; });

addEventListener('beforeunload', (event) => {
  if (!isSubmitted && isChanged()) event.preventDefault();
});

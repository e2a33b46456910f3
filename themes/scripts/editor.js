// Saves a draft while it is written, and warns before a page with unsaved text is left. The form
// works without this module.
//
// The form's attributes: data-saved is "yes" if the node has the form's content; data-autosave has
// the texts for a failure, and is absent if nothing may be saved without a button.

/** The pause in typing after which a draft is saved, in milliseconds. */
const PAUSE_MS = 2000;

const form = document.querySelector('form[data-saved]');
const state = document.querySelector('#state');

let saved = form.dataset.saved === 'yes' ? content() : '';
let timer = 0;
let request = null;
let isSubmitted = false;
let hasFailed = false;

function content() {
  const fields = new FormData(form);
  fields.delete('revision');
  fields.delete('id');
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
  const revision = stored?.querySelector('input[name=revision]');
  if (!revision) return false;
  const [before, after] = [form.getAttribute('action'), stored.getAttribute('action')];
  form.setAttribute('action', after);
  for (const button of form.querySelectorAll('[formaction]')) {
    button.setAttribute('formaction', button.getAttribute('formaction').replace(before, after));
  }
  form.querySelector('input[name=id], input[name=revision]').replaceWith(document.importNode(revision));
  history.replaceState(history.state, '', address.pathname);
  state.textContent = page.querySelector('#state')?.textContent ?? '';
  return true;
}

async function send(sent) {
  const body = new URLSearchParams(new FormData(form));
  body.append('intent', 'draft');
  const response = await fetch(form.action, { method: 'POST', body });
  const page = new DOMParser().parseFromString(await response.text(), 'text/html');
  if (!response.ok || !adopt(page, new URL(response.url))) throw new Error(response.status);
  saved = sent;
}

async function save() {
  clearTimeout(timer);
  if (request || isSubmitted || hasFailed || isEmpty() || !isChanged()) return;
  request = send(content());
  try {
    await request;
  } catch {
    // Only the form's own buttons show the cause, with everything that was typed.
    hasFailed = true;
    state.textContent = form.dataset.autosave;
  } finally {
    request = null;
  }
  if (!hasFailed && isChanged()) schedule();
}

function schedule() {
  clearTimeout(timer);
  timer = setTimeout(save, PAUSE_MS);
}

if ('autosave' in form.dataset) {
  form.addEventListener('input', schedule);
  document.addEventListener('visibilitychange', () => { if (document.hidden) save(); });
  if (isChanged()) schedule();
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

// Keys for the mailbox, and a box that chooses all letters of a page. Without this module the page
// has the same links and forms; `/home/mail/keys` lists the keys, and turns them off: then the page
// says so in `data-keys`.

const all = (selector) => [...document.querySelectorAll(selector)];
const rows = all('.messages li');
const boxes = all('.messages [name=letter]');

// Where the key j begins: the open letter, or before the first.
let at = rows.findIndex((row) => row.querySelector('[aria-current]'));

function go(to) {
  const row = rows[Math.min(Math.max(to, 0), rows.length - 1)];
  if (!row) return;
  at = rows.indexOf(row);
  row.querySelector('a').focus();
}

/** Follows the link of the first selector that the page has. */
function follow(...selectors) {
  const links = selectors.map((selector) => document.querySelector(selector));
  links.find((link) => link)?.click();
}

/** The row with the focus, or the one that j and k reached. */
function current() {
  const focused = rows.findIndex((row) => row.contains(document.activeElement));
  if (focused >= 0) at = focused;
  return rows[at];
}

/** Moves the open letter, or those chosen in the list, or the current row. */
function move(to) {
  const target = document.querySelector(`article form[action$="/move"] [name=to][value=${to}]`);
  if (target) return target.form.requestSubmit();
  const button = document.querySelector(`#chosen [name=action][value=${to}]`);
  if (!button) return;
  const box = current()?.querySelector('[name=letter]');
  if (box && !boxes.some(({ checked }) => checked)) box.checked = true;
  if (boxes.some(({ checked }) => checked)) button.click();
}

function choose() {
  const box = current()?.querySelector('[name=letter]');
  if (!box) return;
  box.checked = !box.checked;
  box.dispatchEvent(new Event('change', { bubbles: true }));
}

const KEYS = {
  j: () => go((current() ? at : -1) + 1),
  k: () => go((current() ? at : 1) - 1),
  o: () => current()?.querySelector('a').click(),
  u: () => follow('.back a', '.folders [aria-current]'),
  x: choose,
  e: () => move('archive'),
  '#': () => move('trash'),
  '!': () => move('junk'),
  r: () => follow('[data-key=r], .under a[href*="?reply="]'),
  a: () => follow('[data-key=a], .under a[href$="all=1"]'),
  l: () => follow('[data-key=l]'),
  f: () => follow('[data-key=f]'),
  c: () => follow('.list a[href="/home/mail/write"]'),
  '/': () => document.getElementById('q')?.focus(),
  '?': () => follow('a[href="/home/mail/keys"]'),
};

const areOff = document.querySelector('main[data-keys=off]');

document.addEventListener('keydown', (event) => {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (target.closest('input:not([type=checkbox]), textarea, select, [contenteditable]')) {
    if (key === 'Escape') target.blur();
    return;
  }
  if (areOff || !Object.hasOwn(KEYS, key)) return;
  event.preventDefault();
  KEYS[key]();
});

const form = document.getElementById('chosen');
if (form && boxes.length > 1) {
  const label = document.createElement('label');
  label.className = 'tick small';
  const box = document.createElement('input');
  box.type = 'checkbox';
  label.append(box, 'All on this page');
  form.querySelector('.acts').before(label);
  const show = () => {
    const count = boxes.filter(({ checked }) => checked).length;
    box.checked = count === boxes.length;
    box.indeterminate = count > 0 && !box.checked;
  };
  box.addEventListener('change', () => boxes.forEach((one) => (one.checked = box.checked)));
  form.addEventListener('change', ({ target }) => target !== box && show());
  // A browser that goes back fills the boxes again.
  addEventListener('pageshow', show);
}

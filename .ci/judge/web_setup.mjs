// The set-up of a new node in Chromium, at 360 and 1280 px: what each page refuses opens at its fault, focused, with everything typed
// still there; the accessibility checker finds nothing; in the end there is a house.
//   node web_setup.mjs FREEHOLD [SHOTS_FOLDER]
import { spawn, execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { launch } from './chromium.mjs';

const require = createRequire(process.env.FREEHOLD_NPM + '/package.json');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const [, , freehold, shots] = process.argv;
if (shots) mkdirSync(shots, { recursive: true });
const password = 'a lamp in the porch';
const ports = ['web', 'smtp', 'submission', 'smtps', 'imap', 'imaps', 'libp2p'];
const listen = ports.flatMap((name) => ['--set', `listen.${name}="127.0.0.1:0"`]);

const browser = await launch();
let failures = 0;
function check(name, isTrue, found = '') {
  if (!isTrue) failures += 1;
  console.log(isTrue ? `ok   ${name}` : `FAIL ${name}: ${found}`);
}

// The focused field, its fault and the fields' values.
const state = (page) => page.evaluate(() => {
  const focused = document.activeElement;
  const described = (focused?.getAttribute('aria-describedby') ?? '').split(' ');
  const fault = described.map((id) => document.getElementById(id)).find((found) => found?.classList.contains('fault'));
  const y = fault?.getBoundingClientRect().y ?? -1;
  const typed = Object.fromEntries([...document.querySelectorAll('input, textarea')].map((field) => [field.name, field.value]));
  return { focused: focused?.name, isInView: y >= 0 && y < innerHeight, typed };
});

async function look(page, name, width) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(() => Promise.all(document.getAnimations().map((one) => one.finished)));
    await page.evaluate(axe);
    const found = await page.evaluate(() => window.axe.run({ resultTypes: ['violations'] }));
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    check(`${name}, ${width} px, ${colorScheme}`, !found.violations.length && wide <= 0, `${found.violations.map((one) => `${one.id} ${one.nodes.map((node) => node.html)}`)} ${wide}`);
    if (shots) await page.screenshot({ path: join(shots, `${name}-${width}-${colorScheme}.png`), fullPage: true });
  }
}

async function send(page, form) {
  await Promise.all([page.waitForNavigation(), page.click(`form[action="${form}"] button[type=submit]`)]);
  return state(page);
}

async function setUp(width) {
  const folder = mkdtempSync(join(tmpdir(), 'freehold-setup-'));
  const data = join(folder, 'data');
  const node = spawn(freehold, ['--data', data, ...listen, 'serve'], { stdio: 'ignore' });
  const asked = (...words) => execFileSync(freehold, ['--data', data, ...words], { encoding: 'utf8' });
  try {
    let link = '';
    for (let tries = 0; !link && tries < 100; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      try { link = asked('setup-link').match(/http\S+/)?.[0] ?? ''; } catch { /* it is starting */ }
    }
    const page = await (await browser.newContext({ viewport: { width, height: width < 500 ? 740 : 800 } })).newPage();
    await page.goto(link);
    await look(page, 'setup', width);
    const typed = { name: 'Ann Lee', address: 'ann at ann', password, again: password };
    const hasTyped = (seen, names) => names.every((name) => seen.typed[name] === typed[name]);
    for (const [name, value] of Object.entries(typed)) await page.fill(`[name=${name}]`, value);
    const address = await send(page, '/setup');
    check(`${width}: a bad address`, address.focused === 'address' && address.isInView && hasTyped(address, Object.keys(typed)), JSON.stringify(address));
    typed.address = 'ann@ann.example';
    await page.fill('[name=address]', typed.address);
    await page.fill('[name=again]', password + 's');
    // Nobody sees which of the two is right, so both are typed again.
    const differ = await send(page, '/setup');
    check(`${width}: two passwords that differ`, differ.focused === 'password' && differ.isInView && hasTyped(differ, ['name', 'address']), JSON.stringify(differ));
    await page.fill('[name=password]', password);
    await page.fill('[name=again]', password);
    await send(page, '/setup');
    check(`${width}: the words are shown`, page.url().endsWith('/setup/words'), page.url());
    await look(page, 'words', width);

    const words = await page.locator('ol.words li').evaluateAll((all) => all.map((one) => one.lastChild.textContent.trim()));
    const numbers = await page.locator('input[id^=word-]').evaluateAll((all) => all.map((one) => Number(one.id.slice(5))));
    const right = numbers.map((number) => words[number - 1]);
    const names = ['first', 'second', 'third'];
    for (const [at, name] of names.entries()) await page.fill(`[name=${name}]`, at === 1 ? 'heron' : right[at]);
    const wrong = await send(page, '/setup/words');
    check(`${width}: a wrong word`, wrong.focused === 'second' && wrong.isInView, JSON.stringify(wrong));
    check(`${width}: what was typed is there`, names.every((name, at) => wrong.typed[name] === (at === 1 ? 'heron' : right[at])), JSON.stringify(wrong.typed));
    const again = await page.locator('ol.words li').evaluateAll((all) => all.map((one) => one.lastChild.textContent.trim()));
    check(`${width}: the words are the same`, String(again) === String(words), again);
    await look(page, 'wrong-word', width);

    await page.click('details:has([name=claim]) summary');
    await page.fill('[name=claim]', 'no claim at all');
    const claim = await send(page, '/setup/claim');
    check(`${width}: a bad claim`, claim.focused === 'claim' && claim.isInView && claim.typed.claim === 'no claim at all', JSON.stringify(claim));
    const after = await page.locator('ol.words li').evaluateAll((all) => all.map((one) => one.lastChild.textContent.trim()));
    check(`${width}: and the words are the same`, String(after) === String(words), after);

    for (const [at, name] of names.entries()) await page.fill(`[name=${name}]`, right[at]);
    await send(page, '/setup/words');
    check(`${width}: the house is open`, new URL(page.url()).pathname === '/home', page.url());
    await look(page, 'first-home', width);
    check(`${width}: the node has an owner`, /Ann Lee/.test(asked('identity', 'show') + asked('status')), asked('status'));
  } finally {
    node.kill('SIGTERM');
    await new Promise((resolve) => node.once('exit', resolve));
    rmSync(folder, { recursive: true, force: true });
  }
}

try {
  for (const width of [1280, 360]) await setUp(width);
} finally {
  await browser.close();
}
process.exit(failures ? 1 : 0);

// Every page of the demo in Chromium, at 360 and 1280 px, light and dark: no accessibility finding, no horizontal scrolling, no
// control under 44 px, no console message. Then one flow without JavaScript.
//   node pages.mjs DEMO.json SHOTS_FOLDER HTML_FOLDER
import { createRequire } from 'node:module';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { launch, logIn, people } from './chromium.mjs';

const require = createRequire(process.env.FREEHOLD_NPM + '/package.json');
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const [, , , shots, html] = process.argv;
mkdirSync(shots, { recursive: true });
mkdirSync(html, { recursive: true });
const alice = people[0];
const base = alice.web.replace(/\/$/, '');

const browser = await launch();
const findings = [];

async function openBrowser(options, owner) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on('console', (message) => { if (['error', 'warning'].includes(message.type()) && !/40[0-9]/.test(message.text())) findings.push(`console on ${page.url()}: ${message.text()}`); });
  // ERR_ABORTED: the picture was still loading when the next page was opened.
  page.on('requestfailed', (request) => { if (request.failure()?.errorText !== 'net::ERR_ABORTED') findings.push(`failed: ${request.url()}`); });
  page.on('request', (request) => { if (!request.url().startsWith(base) && !request.url().startsWith('data:') && !request.url().startsWith('about:')) findings.push(`a request to another site: ${request.url()}`); });
  if (owner) await logIn(page, alice);
  return { context, page };
}

async function linkOn(page, path, selector) {
  await page.goto(base + path);
  const href = await page.locator(selector).first().getAttribute('href').catch(() => null);
  if (!href) { findings.push(`${path} has no link ${selector}`); return null; }
  return new URL(href, base).pathname;
}

const scout = await openBrowser({}, true);
const pages = [
  ['front', '/', false],
  ['post', await linkOn(scout.page, '/', 'main h2 a, main h1 a'), false],
  ['writing', '/writing', false],
  ['photos', '/photos', false],
  ['photo', await linkOn(scout.page, '/photos', 'main a[href^="/photos/"]:has(img)'), false],
  ['about', '/about', false],
  ['not-found', '/no-such-page', false],
  ['login', '/login', false],
  ['home', '/home', true],
  ['write', '/home/write', true],
  ['owner-photos', '/home/photos', true],
  ['upload', '/home/photos/add', true],
  ['mail', '/home/mail', true],
  ['message', await linkOn(scout.page, '/home/mail', 'main a[href^="/home/mail/"]:has-text("Larch")'), true],
  ['compose', '/home/mail/write', true],
  ['search', '/home/mail/search?q=the', true],
  ['keys', '/home/mail/keys', true],
  ['refused', '/home/mail/refused', true],
  ['rules', '/home/mail/rules', true],
  ['senders', '/home/mail/senders', true],
  ['away', '/home/mail/away', true],
  ['import', '/home/mail/import', true],
  ['addresses', '/home/settings/addresses', true],
  ['friends', '/home/friends', true],
  ['settings', '/home/settings', true],
  ['apps', '/home/settings/apps', true],
  ['smarthost', '/home/settings/smarthost', true],
  ['queue', '/home/mail/queue', true],
];
await scout.context.close();

for (const width of [1280, 360]) for (const colorScheme of ['light', 'dark']) for (const owner of [false, true]) {
  const { context, page } = await openBrowser({ viewport: { width, height: width > 500 ? 860 : 740 }, colorScheme, reducedMotion: 'reduce' }, owner);
  for (const [name, path, needsOwner] of pages) {
    if (!path || needsOwner !== owner) continue;
    const label = `${name} ${width} ${colorScheme}`;
    const response = await page.goto(base + path);
    const expected = name === 'not-found' ? 404 : 200;
    if (response.status() !== expected) findings.push(`${label}: status ${response.status()}`);
    // The screenshot shows the whole page: load the pictures below the fold too.
    await page.evaluate(() => Promise.all([...document.images].map((image) => { image.loading = 'eager'; return image.decode().catch(() => null); })));
    await page.screenshot({ path: `${shots}/${name}-${width}-${colorScheme}.png`, fullPage: true });
    if (width === 1280 && colorScheme === 'light') writeFileSync(`${html}/${name}.html`, await response.text());
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (overflow > 0) findings.push(`${label}: ${overflow} px too wide`);
    // Playwright evaluates outside the page's Content-Security-Policy, which forbids scripts.
    await page.evaluate(axe);
    const result = await page.evaluate(() => axe.run({ resultTypes: ['violations'], runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
    for (const violation of result.violations) findings.push(`${label}: ${violation.id} (${violation.impact}): ${violation.nodes.map((node) => node.target).slice(0, 3).join(' | ')}`);
    const small = await page.evaluate(() => [...document.querySelectorAll('main button, main input:not([type=hidden]):not([type=checkbox]):not([type=radio]), main select, nav a')].filter((element) => { const box = element.getBoundingClientRect(); return box.height > 0 && box.height < 43.5; }).map((element) => element.outerHTML.slice(0, 80)));
    for (const control of small) findings.push(`${label}: under 44 px: ${control}`);
  }
  await context.close();
}

// Without JavaScript: write a post and find it on the public front page.
const { context, page } = await openBrowser({ javaScriptEnabled: false, viewport: { width: 360, height: 740 } }, true);
await page.goto(base + '/home/write');
await page.fill('[name=title]', 'Written without a script');
await page.fill('[name=text]', 'A form, a button, a page.');
await page.click('button[value=publish]');
await page.waitForURL((url) => url.pathname !== '/home/write');
await page.goto(base + '/');
if (!(await page.textContent('main')).includes('Written without a script')) findings.push('a post written without JavaScript is not on the front page');
await context.close();
// The post must be in the timeline of a friend.
const bob = people[1];
const friend = await browser.newContext();
const home = await friend.newPage();
await logIn(home, bob);
let isShown = false;
for (let attempt = 0; attempt < 50 && !isShown; attempt++) {
  await home.goto(bob.web + 'home');
  isShown = (await home.textContent('main')).includes('Written without a script');
}
if (!isShown) findings.push("the post is not in Bob's timeline");
await browser.close();
for (const finding of findings) console.log(finding);
console.log(`${pages.length} pages, ${findings.length} findings`);
process.exit(findings.length ? 1 : 0);

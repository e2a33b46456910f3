// Faults that people met on the site and at home, played from outside in Chromium and over HTTP, one line each.
//   node web_faults.mjs DEMO.json
import { createRequire } from 'node:module';
import { createServer, request } from 'node:http';
import { readFileSync } from 'node:fs';

const require = createRequire(process.env.FREEHOLD_NPM + '/package.json');
const { chromium } = require('playwright-core');
const people = JSON.parse(readFileSync(process.argv[2], 'utf8')).people;
const [alice, bob] = people;
const base = alice.web.replace(/\/$/, '');
const tag = Date.now().toString(36);

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
let failures = 0;
async function fault(name, check) {
  let found;
  try { found = await check(); } catch (error) { found = String(error).split('\n')[0]; }
  if (found) failures += 1;
  console.log(found ? `FAIL ${name}: ${found}` : `ok   ${name}`);
}
const need = (isTrue, text) => (isTrue ? '' : text);

async function logIn(person, options = {}) {
  const page = await (await browser.newContext(options)).newPage();
  await page.goto(person.web + 'login');
  await page.fill('input[name=password]', person.password);
  await page.click('main form button');
  await page.waitForURL((url) => url.pathname !== '/login');
  return page;
}
async function write(page, fields, intent = 'publish') {
  await page.goto(base + '/home/write');
  for (const [name, value] of Object.entries(fields)) await page.fill(`[name=${name}]`, value);
  await Promise.all([page.waitForNavigation(), page.click(`button[value=${intent}]:not(.hid)`)]);
}
// Names below localhost are this machine's, also where no resolver knows them. Redirects are not followed.
function seen(path, { method = 'GET', body = '', headers = {} } = {}) {
  const lookup = (_, options, found) => (options.all ? found(null, [{ address: '127.0.0.1', family: 4 }]) : found(null, '127.0.0.1', 4));
  if (body) headers = { ...headers, 'content-type': 'application/x-www-form-urlencoded', 'content-length': Buffer.byteLength(String(body)) };
  return new Promise((resolve, reject) => {
    const asked = request(base + path, { method, headers, lookup }, (response) => {
      const pieces = [];
      response.on('data', (piece) => pieces.push(piece));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, text: Buffer.concat(pieces).toString() }));
    });
    asked.on('error', reject);
    asked.end(String(body));
  });
}
const feed = async () => (await seen('/feed.atom')).text;
// XML 1.0 2.2 allows none of these.
const forbidden = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/;

const home = await logIn(alice);
const visitor = await (await browser.newContext()).newPage();

await fault('photos of a post stay in their order through an untouched save', async () => {
  await visitor.goto(base + '/');
  const links = await visitor.locator('main h1 a, main h2 a').evaluateAll((all) => all.map((link) => link.href));
  let post = '', before = [], dates = '';
  const files = () => visitor.locator('figure img').evaluateAll((all) => all.map((image) => new URL(image.src).pathname));
  for (const link of links) {
    await visitor.goto(link);
    before = await files();
    if (before.length > 1) { post = link; break; }
  }
  if (!post) return 'no post of the demo has two photos';
  dates = await visitor.textContent('article .margin');
  await home.goto(post);
  await home.click('a[href^="/home/write/"]');
  const edit = home.url();
  await Promise.all([home.waitForNavigation(), home.click('button.main[value=edit]')]);
  await visitor.goto(post);
  const after = await files();
  if (String(before) !== String(after)) return `${before} became ${after}`;
  if ((await visitor.textContent('article .margin')) !== dates) return 'marked as changed';
  await home.goto(edit);
  await Promise.all([home.waitForNavigation(), home.click('button[value^=later-] >> nth=0')]);
  await Promise.all([home.waitForNavigation(), home.click('button.main[value=edit]')]);
  await visitor.goto(post);
  const moved = await files();
  return need(moved[0] === before[1] && moved[1] === before[0], 'the buttons moved nothing');
});

await fault('control characters do not break the feed', async () => {
  const bad = `Em\u0010dash ${tag}\u0001\ufffe`;
  await write(home, { title: 'x', text: 'y' }, 'preview');
  const id = await home.inputValue('[name=id]');
  const body = new URLSearchParams({ id, title: bad, text: `a\u000bb ${bad}`, intent: 'publish' });
  const cookies = (await home.context().cookies()).map(({ name, value }) => `${name}=${value}`).join('; ');
  const sent = await seen('/home/write', { method: 'POST', body, headers: { cookie: cookies, origin: base } });
  if (sent.status !== 303) return `status ${sent.status}`;
  const text = await feed();
  const found = text.match(forbidden);
  if (found) return `U+${found[0].charCodeAt(0).toString(16)} in the feed`;
  await visitor.goto('about:blank');
  const error = await visitor.evaluate((xml) => new DOMParser().parseFromString(xml, 'application/xml').querySelector('parsererror')?.textContent || '', text);
  return error;
});

await fault('the feed resolves addresses and leaves code alone', async () => {
  const title = `Code in feed ${tag}`;
  await write(home, { title, text: 'Use `<a href="/about">` then [about](/about) [frag](#part) [proto](//other.example/x) [q](?a=1)' });
  const entry = (await feed()).split('<entry>').find((part) => part.includes(title)) || '';
  const html = entry.split('<content')[1].replaceAll('&#34;', '"').replaceAll('&#60;', '<').replaceAll('&#62;', '>').replaceAll('&#38;', '&');
  for (const part of ['&lt;a href="/about"&gt;', 'href="http://other.example/x"', '#part"', '?a=1"']) if (!html.includes(part)) return `${part} is missing`;
  return need(!/href="[#?/]/.test(html.replace(/&lt;.*?&gt;/g, '')), 'an address is relative');
});

await fault('public pictures can be shown by other sites', async () => {
  const photos = (await seen('/photos')).text.match(/\/photos\/[0-9a-f]{32}\/400\.jpg/);
  if (!photos) return 'no photo';
  const other = createServer((_, response) => { response.setHeader('content-type', 'text/html'); response.end(`<img src="${base}${photos[0]}">`); });
  await new Promise((resolve) => other.listen(0, '127.0.0.1', resolve));
  await visitor.goto(`http://127.0.0.1:${other.address().port}/`);
  const width = await visitor.evaluate(() => document.images[0].decode().then(() => document.images[0].naturalWidth, () => 0));
  other.close();
  return need(width > 0, 'the browser blocks it');
});

await fault('addresses are links, line ends stay, unknown tags are text', async () => {
  await home.goto(base + '/home?write=1');
  await home.fill('[name=text]', `Line one ${tag}\nhttps://example.com/a_b?c=d, joe@example.com\nx<y but y>z Vec<String> ![](/url)`);
  await Promise.all([home.waitForNavigation(), home.click('.composer .main')]);
  const told = home.locator('article.timeline-post .told', { hasText: tag }).first();
  const html = await told.innerHTML();
  for (const part of ['<br>', 'href="https://example.com/a_b?c=d"', 'href="mailto:joe@example.com"', 'x&lt;y but y&gt;z', 'Vec&lt;String&gt;', 'a picture']) if (!html.includes(part)) return `${part} is missing in ${html}`;
  return '';
});

await fault('a refused form opens at its fault, with what was typed', async () => {
  for (const size of [{ width: 1280, height: 800 }, { width: 360, height: 740 }]) {
    await home.setViewportSize(size);
    await home.goto(base + '/home/settings');
    await home.fill('[name=current]', 'not my password');
    await home.fill('[name=new]', 'a new long password');
    await home.fill('[name=again]', 'a new long password');
    await Promise.all([home.waitForNavigation(), home.click('form[action="/home/settings/password"] button')]);
    const state = await home.evaluate(() => ({ focused: document.activeElement?.name, y: document.querySelector('#current-fault').getBoundingClientRect().y, height: innerHeight }));
    if (state.focused !== 'current') return `${size.width}: ${state.focused} is focused`;
    if (state.y < 0 || state.y > state.height) return `${size.width}: the fault is at ${state.y}`;
    if ((await home.inputValue('[name=new]')) !== 'a new long password') return 'the new password is lost';
  }
  await home.setViewportSize({ width: 1280, height: 800 });
  return '';
});

await fault("a friend's post is read at home", async () => {
  const page = await logIn(bob);
  await page.goto(bob.web + 'home');
  const own = new URL(bob.web).origin;
  const links = await page.locator('article.timeline-post .who a, article.timeline-post h3 a').evaluateAll((all) => all.map((link) => link.href));
  const away = links.filter((link) => new URL(link).origin !== own);
  if (away.length) return `${away[0]} leads away`;
  const friend = links.find((link) => link.includes('/home/timeline/') && !/\.jpg$/.test(link));
  if (!friend) return 'no post of a friend';
  await page.goto(friend);
  return need(await page.locator('#elsewhere').count(), "no link to the friend's site");
});

await fault('dates and the language are the owner’s', async () => {
  const choose = async (zone, language) => {
    await home.goto(base + '/home/settings');
    await home.selectOption('[name=time_zone]', zone);
    await home.selectOption('[name=language]', language);
    await Promise.all([home.waitForNavigation(), home.click('form[action="/home/settings"] button')]);
  };
  await choose('Pacific/Kiritimati', 'de');
  const [page, text] = [(await seen('/')).text, await feed()];
  await choose('UTC', 'en');
  if (!page.includes('<html lang="de">') || !text.includes('xml:lang="de"')) return 'the language is not used';
  return need(/datetime="[^"]*\+14:00"/.test(page) && /<updated>[^<]*\+14:00</.test(text), 'the time zone is not used');
});

await fault('no redirect leaves the site', async () => {
  await write(home, { title: `Old ${tag}`, text: 'x' });
  const old = new URL(home.url()).pathname.split('/').pop();
  await home.goto((await home.locator('a[href^="/home/write/"]').first().getAttribute('href').then((href) => base + href)));
  await home.click('details:has(#slug) summary');
  await home.fill('#slug', `new-${tag}`);
  await Promise.all([home.waitForNavigation(), home.click('button.main[value=edit]')]);
  for (const path of [`/%2Fevil.example/${old}`, `/%5Cevil.example/${old}`, `/%2F%2Fevil.example/${old}/`]) {
    const location = (await seen(path)).headers.location || '/';
    if (!/^\/[^/\\]|^\/$/.test(location)) return `${path} leads to ${location}`;
  }
  return need((await seen(`/2026/${old}`)).headers.location === `/2026/new-${tag}`, 'the old address leads nowhere');
});

await fault('all spellings of a path share one page', async () => {
  const path = new URL((await visitor.goto(base + '/'), await visitor.locator('main h1 a, main h2 a').first().getAttribute('href')), base).pathname;
  const spelled = path.replace(/[a-z]/, (letter) => `%${letter.charCodeAt(0).toString(16)}`);
  const [one, two] = [await seen(path), await seen(spelled)];
  return need(one.status === 200 && two.status === 200 && one.headers.etag === two.headers.etag, `${one.status} and ${two.status}`);
});

await fault('slugs keep marks and lead on in other forms', async () => {
  for (const [title, slug] of [[`हिन्दी भाषा ${tag}`, `हिन्दी-भाषा-${tag}`], [`Cafe\u0301 e\u0301te\u0301 ${tag}`, `cafe-ete-${tag}`], [`soft\u00adhyphen ${tag}`, `softhyphen-${tag}`]]) {
    await write(home, { title, text: 'x' });
    const path = decodeURIComponent(new URL(home.url()).pathname);
    if (!path.endsWith('/' + slug)) return path;
    for (const other of [path + '/', path.toUpperCase(), path.normalize('NFD')]) {
      if (other === path) continue;
      const { status } = await seen(encodeURI(other));
      if (![200, 301, 308].includes(status)) return `${other}: ${status}`;
    }
  }
  return '';
});

await fault('the back button after publishing makes no second post', async () => {
  await write(home, { title: `Once ${tag}`, text: 'one' });
  await home.goBack();
  if (!/\/home\/write\/[0-9a-f]{32}$/.test(new URL(home.url()).pathname)) return `back leads to ${home.url()}`;
  return need((await home.inputValue('#title')) === `Once ${tag}`, 'another form is shown');
});

await fault('the owner is told what was done, and finds home', async () => {
  await write(home, { title: `Told ${tag}`, text: 'one' });
  if (!(await home.locator('#done[role=status]').count())) return 'nothing is said after publishing';
  if (!(await home.locator('nav a[href="/home"]').count())) return 'no way home';
  await home.click('a[href^="/home/write/"]');
  await home.click('details:has(#take-back) summary');
  await Promise.all([home.waitForNavigation(), home.click('form[action$="/withdraw"] button')]);
  return need(await home.locator('#done[role=status]').count(), 'nothing is said after withdrawing');
});

await fault('a long name and a wide table fit a phone', async () => {
  await write(home, { title: `Table ${tag}`, text: `|Monday morning|Temperature|${'a|'.repeat(12)}\n|-|-|${'-|'.repeat(12)}\n|${'word |'.repeat(14)}\n\n\`\`\`\n${'code '.repeat(60)}\n\`\`\`` });
  const path = new URL(home.url()).pathname;
  await home.goto(base + '/home/settings');
  const name = await home.inputValue('#name');
  const rename = async (value) => { await home.goto(base + '/home/settings'); await home.fill('#name', value); await Promise.all([home.waitForNavigation(), home.click('form[action="/home/settings"] button')]); };
  await rename('W'.repeat(67));
  const phone = await (await browser.newContext({ viewport: { width: 360, height: 740 } })).newPage();
  let found = '';
  for (const page of [path, '/', '/about']) {
    await phone.goto(base + page);
    const extra = await phone.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (extra > 0) found = `${page} is ${extra} px too wide`;
    if (page === path && (await phone.evaluate(() => document.querySelector('td').getBoundingClientRect().height > 60))) found = 'cells break within words';
  }
  await rename(name);
  return found;
});

await fault('the front page costs a phone no more than a desktop', async () => {
  const weight = async (viewport) => {
    const page = await (await browser.newContext({ viewport, deviceScaleFactor: viewport.width < 500 ? 2 : 1 })).newPage();
    let bytes = 0;
    page.on('response', async (response) => { bytes += response.request().resourceType() === 'image' ? (await response.body().catch(() => '')).length : 0; });
    await page.goto(base + '/', { waitUntil: 'networkidle' });
    await page.close();
    return bytes;
  };
  const [phone, desktop] = [await weight({ width: 360, height: 740 }), await weight({ width: 1280, height: 800 })];
  return need(phone > 0 && phone < Math.max(desktop, 150_000) * 1.5, `${phone} bytes of pictures on a phone, ${desktop} on a desktop`);
});

await fault('all posts are listed and found by their title', async () => {
  await home.goto(base + '/home/posts?words=' + tag);
  return need((await home.locator('#posts li').count()) > 3, 'posts are missing');
});

await fault('a session that ended while writing loses no text', async () => {
  const page = await logIn(alice);
  await page.goto(base + '/home/write');
  await page.fill('#title', `Kept ${tag}`);
  await page.fill('#text', 'Written before the logout.');
  const settings = await page.context().newPage();
  await settings.goto(base + '/home/settings');
  await Promise.all([settings.waitForNavigation(), settings.click('form[action="/logout"] button')]);
  await Promise.all([page.waitForNavigation(), page.click('button.main[value=publish]')]);
  if ((await page.locator('#unsaved [name=text]').inputValue()) !== 'Written before the logout.') return 'the text is not shown';
  const [login] = await Promise.all([page.context().waitForEvent('page'), page.click('#login')]);
  await login.fill('input[name=password]', alice.password);
  await Promise.all([login.waitForNavigation(), login.click('main form button')]);
  await Promise.all([page.waitForNavigation(), page.click('#unsaved button')]);
  return need((await page.textContent('main')).includes('before the logout') && (await seen('/')).text.includes(`Kept ${tag}`), 'it is not published after the login');
});

// Writes a post with the newest photos, at most `most`. Returns their number.
async function writeWithPhotos(title, most) {
  await home.goto(base + '/home/write');
  await home.fill('#title', title);
  await home.fill('#text', 'With photos.');
  const count = Math.min(most, await home.locator('.pick input').count());
  for (let number = 0; number < count; number++) await home.locator('.pick input').nth(number).check();
  return count;
}

await fault('the preview shows the photos', async () => {
  await writeWithPhotos(`Preview ${tag}`, 2);
  await Promise.all([home.waitForNavigation(), home.click('button[value=preview]')]);
  const count = await home.locator('#preview figure img').count();
  if (count !== 2) return `${count} of 2 photos`;
  return need((await home.inputValue('#title')) === `Preview ${tag}` && (await home.locator('.chosen li').count()) === 2, 'the form is not as it was');
});

await fault('a post of many photos fits the timeline of a phone', async () => {
  const count = await writeWithPhotos(`Many ${tag}`, 7);
  await Promise.all([home.waitForNavigation(), home.click('button.main[value=publish]')]);
  await home.setViewportSize({ width: 360, height: 740 });
  await home.goto(base + '/home');
  const post = home.locator('article.timeline-post', { hasText: `Many ${tag}` });
  const boxes = await post.locator('.strip a').evaluateAll((all) => all.map((link) => link.getBoundingClientRect()).map(({ width, height }) => [width, height]));
  const more = await post.locator('.acts a', { hasText: 'more' }).count();
  await home.setViewportSize({ width: 1280, height: 800 });
  // WCAG 2.5.8.
  if (!boxes.length || boxes.some(([width, height]) => width < 24 || height < 24)) return `the pictures are ${JSON.stringify(boxes)}`;
  return need(boxes.length === count || more, `${boxes.length} of ${count} photos, and no word of the others`);
});

await fault('an edited post has no hole below its title', async () => {
  await write(home, { title: `Short ${tag}`, text: 'The first line.' });
  const post = home.url().split('?')[0];
  await home.click('a[href^="/home/write/"]');
  await home.fill('#text', 'The first line, changed.');
  await Promise.all([home.waitForNavigation(), home.click('button.main[value=edit]')]);
  await home.goto(post);
  const gap = await home.evaluate(() => document.querySelector('main .read').getBoundingClientRect().top - document.querySelector('main h1').getBoundingClientRect().bottom);
  return need(gap < 60, `${gap} px between title and text`);
});

await fault('right-to-left text keeps code and quotes in their places', async () => {
  await write(home, { title: `שלום עולם ${tag}`, text: 'זה טקסט בעברית.\n\n> ציטוט\n\n```\nlet x = 1;\n```\n\n- אחת\n- שתיים' });
  await visitor.setViewportSize({ width: 1280, height: 800 });
  await visitor.goto(home.url().split('?')[0]);
  const found = await visitor.evaluate(() => {
    const [text, pre, quote, list] = ['.read', '.read pre', '.read blockquote', '.read ul'].map((selector) => document.querySelector(selector));
    const [column, code] = [text, pre].map((element) => element.getBoundingClientRect());
    const style = getComputedStyle(quote);
    return { code: getComputedStyle(pre).direction, left: code.left - column.left, right: innerWidth - code.right, rules: [parseFloat(style.borderLeftWidth), parseFloat(style.borderRightWidth)], list: getComputedStyle(list).direction };
  });
  const isGood = found.code === 'ltr' && found.left > -1 && found.right > -1 && found.rules[1] > found.rules[0] && found.list === 'rtl';
  return need(isGood, JSON.stringify(found));
});

await fault('a published post takes more photos', async () => {
  await write(home, { title: `More photos ${tag}`, text: 'x' });
  await home.click('a[href^="/home/write/"]');
  await Promise.all([home.waitForNavigation(), home.click('button[value=photos]')]);
  return need(await home.locator('input[type=file]').count(), `no file field at ${home.url()}`);
});

await fault('a reload makes no second invite', async () => {
  await home.goto(base + '/home/friends');
  await home.fill('#label', `Invite ${tag}`);
  await Promise.all([home.waitForNavigation(), home.click('form[action="/home/friends/invite"] button')]);
  const first = await home.textContent('#invite-link');
  await home.reload();
  const second = await home.textContent('#invite-link');
  const listed = await home.locator('[data-invite]', { hasText: `Invite ${tag}` }).count();
  if (listed) await Promise.all([home.waitForNavigation(), home.locator('[data-invite]', { hasText: `Invite ${tag}` }).locator('button').click()]);
  return need(first === second && listed === 1, `${listed} invites, ${first} and ${second}`);
});

await fault('a refused invite stays in its focused field', async () => {
  await home.goto(base + '/home/friends');
  await home.fill('#invite', 'no invite');
  await Promise.all([home.waitForNavigation(), home.click('form[action="/home/friends/accept"] button')]);
  const state = await home.evaluate(() => [document.activeElement?.id, document.querySelector('#invite').value]);
  return need(String(state) === 'invite,no invite', state);
});

await fault('the owner is told that a letter moved', async () => {
  await home.goto(base + '/home/mail/write');
  await home.fill('#to', alice.address);
  await home.fill('#subject', `To move ${tag}`);
  await home.fill('#text', 'x');
  await Promise.all([home.waitForNavigation(), home.click('main button.main')]);
  // It waits for some seconds, so that it can be taken back.
  await home.goto(base + '/home/mail/queue');
  await Promise.all([home.waitForNavigation(), home.locator('section', { hasText: `To move ${tag}` }).locator('form[action$="/retry"] button').click()]);
  const letter = home.locator('.messages a', { hasText: `To move ${tag}` });
  for (let attempt = 0; attempt < 50; attempt++) {
    await home.goto(base + '/home/mail');
    if (await letter.count()) break;
  }
  await letter.click();
  await Promise.all([home.waitForNavigation(), home.click('form[action$="/move"] button')]);
  return need(await home.locator('#done[role=status]').count(), 'nothing is said');
});

await fault('forced colours mark one room', async () => {
  const context = await browser.newContext({ forcedColors: 'active', storageState: await home.context().storageState() });
  const page = await context.newPage();
  await page.goto(base + '/home/friends');
  const colours = await page.locator('.site-nav a').evaluateAll((all) => all.map((link) => [link.hasAttribute('aria-current'), getComputedStyle(link).borderBottomColor]));
  const [marked, others] = [true, false].map((isCurrent) => new Set(colours.filter((colour) => colour[0] === isCurrent).map((colour) => colour[1])));
  return need(marked.size === 1 && !others.has([...marked][0]), JSON.stringify(colours));
});

await fault('a draft is saved while it is written', async () => {
  await home.goto(base + '/home/write');
  await home.fill('[name=title]', `Unfinished ${tag}`);
  await home.fill('[name=text]', 'Nobody presses a button.');
  await home.waitForURL((url) => /\/home\/write\/[0-9a-f]{32}$/.test(url.pathname));
  await home.reload();
  if ((await home.inputValue('[name=text]')) !== 'Nobody presses a button.') return 'the text is lost';
  let asked = 0;
  home.on('dialog', (dialog) => { asked += 1; dialog.accept(); });
  await home.locator('[name=text]').pressSequentially('!');
  await home.goto(base + '/home');
  home.removeAllListeners('dialog');
  return need(asked === 1, `${asked} warnings of unsaved text`);
});

await fault('the move of a letter can be undone', async () => {
  await home.goto(base + '/home/mail');
  const letters = home.locator('.messages a');
  const before = await letters.count();
  if (!before) return 'no letter';
  await letters.first().click();
  await Promise.all([home.waitForNavigation(), home.click('form[action$="/move"] button')]);
  const between = await letters.count();
  await Promise.all([home.waitForNavigation(), home.click('#undo button')]);
  return need(between === before - 1 && (await letters.count()) === before, `${before}, ${between}, ${await letters.count()} letters`);
});

await fault('the back button keeps what was typed in every field', async () => {
  home.on('dialog', (dialog) => dialog.accept());
  let found = '';
  for (const [path, names] of [['/home/write', ['title', 'text']], ['/home/mail/write', ['to', 'cc', 'subject', 'text']], ['/home/photos/add', ['alt', 'caption']], ['/home/settings', ['strapline', 'about']], ['/home/friends', ['label', 'invite']], ['/home/settings/apps', ['label']]]) {
    await home.goto(base + path);
    for (const name of names) { await home.fill(`[name=${name}]`, ''); await home.locator(`[name=${name}]`).pressSequentially(`${name} typed`); }
    await Promise.all([home.waitForURL(base + '/home'), home.click('.site-nav a[href="/home"]')]);
    await home.goBack();
    await home.waitForTimeout(300);
    for (const name of names) if ((await home.inputValue(`[name=${name}]`)) !== `${name} typed`) found ||= `${name} of ${path} is lost`;
  }
  home.removeAllListeners('dialog');
  return found;
});

await fault('a photo added after the login ended keeps its texts', async () => {
  const page = await logIn(alice);
  await page.goto(base + '/home/photos/add');
  await page.fill('#alt', 'Low sun');
  await page.selectOption('#audience', 'owner');
  await page.setInputFiles('#file', { name: 'a.jpg', mimeType: 'image/jpeg', buffer: Buffer.alloc(5_000_000, 255) });
  await page.context().clearCookies();
  await Promise.all([page.waitForNavigation(), page.click('form[enctype] button.main')]);
  const kept = [await page.inputValue('#unsaved [name=alt]'), await page.inputValue('#unsaved [name=audience]')];
  return need(String(kept) === 'Low sun,owner' && (await page.locator('#unsaved input[type=file]').count()) === 1, kept);
});

await fault('a link to the withdrawal of a post opens it', async () => {
  await home.goto(base + '/home');
  await home.locator('a[href$="#take-back"]').first().click();
  await home.waitForURL(/take-back/);
  await home.waitForTimeout(300);
  return need(await home.evaluate(() => document.querySelector('#take-back').closest('details').open), 'it stays closed');
});

await browser.close();
console.log(`${failures} failures`);
process.exit(failures ? 1 : 0);

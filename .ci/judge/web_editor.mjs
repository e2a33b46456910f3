// Drafts that are saved while they are written, in Chromium: what becomes of them when the node does not answer, when another window
// changed them, and when the login has ended.
//   node web_editor.mjs DEMO.json
import { launch, logIn, people } from './chromium.mjs';

const alice = people[0];
const base = alice.web.replace(/\/$/, '');
const tag = Date.now().toString(36);
const browser = await launch();
const context = await browser.newContext();
let failures = 0;

// Opens the editor in a window of its own. `check` returns what is wrong, or nothing.
async function fault(name, check) {
  const page = await context.newPage();
  let found;
  try {
    await page.goto(base + '/home/write');
    found = await check(page);
  } catch (error) { found = String(error).split('\n')[0]; }
  await page.close({ runBeforeUnload: false });
  if (found) failures += 1;
  console.log(found ? `FAIL ${name}: ${found}` : `ok   ${name}`);
}
const said = (page, text) => page.locator('#state', { hasText: text }).waitFor({ timeout: 20_000 });
async function stored(page) {
  const other = await context.newPage();
  await other.goto(page.url());
  const text = await other.inputValue('#text');
  await other.close();
  return text;
}
async function type(page, words) {
  await page.locator('#text').pressSequentially(words);
}

await logIn(await context.newPage(), alice);

await fault('a draft is saved without a button', async (page) => {
  await type(page, `first ${tag}`);
  await said(page, /^Saved/);
  return (await stored(page)).includes(`first ${tag}`) ? '' : 'the text is not stored';
});

for (const [name, fail, mend] of [
  ['has no connection', () => context.setOffline(true), () => context.setOffline(false)],
  ['answers 503', (page) => page.route('**/home/write**', (route) => route.fulfill({ status: 503 })), (page) => page.unroute('**/home/write**')],
]) {
  await fault(`a draft is saved again after the node ${name}, without a further key`, async (page) => {
    await type(page, `before ${tag}`);
    await said(page, /^Saved/);
    await fail(page);
    await type(page, ` after ${tag}`);
    await said(page, 'Not saved yet');
    await mend(page);
    await said(page, /^Saved/);
    return (await stored(page)).includes(`after ${tag}`) ? '' : 'the text is not stored';
  });
}

await fault('a draft that is too long says so, and is saved once it is shorter', async (page) => {
  await page.fill('#text', `${'word '.repeat(15)}\n`.repeat(1000));
  await said(page, /75998.*60000/);
  if ((await page.inputValue('#text')).length !== 76_000) return 'the text was cut';
  await page.fill('#text', `short ${tag}`);
  await said(page, /^Saved/);
  return (await stored(page)) === `short ${tag}` ? '' : 'the text is not stored';
});

await fault('a draft that another window changed is not overwritten', async (page) => {
  await type(page, `mine ${tag}`);
  await said(page, /^Saved/);
  const other = await context.newPage();
  await other.goto(page.url());
  await other.fill('#text', `theirs ${tag}`);
  await said(other, /^Saved/);
  await type(page, ' and more');
  await said(page, 'Press Save');
  return (await stored(other)).includes(`theirs ${tag}`) ? '' : 'the other text is gone';
});

await fault('a letter is kept as one draft with its files, without a button', async (page) => {
  await page.goto(base + '/home/mail/write');
  await page.fill('#to', 'nobody yet');
  await type(page, `letter ${tag}`);
  await page.waitForURL(/draft=/, { timeout: 20_000 });
  await page.setInputFiles('#files', [{ name: 'a.txt', mimeType: 'text/plain', buffer: Buffer.from('words') }]);
  await page.click('button[value=attach]');
  await page.locator('#enclosed-files li').waitFor();
  const attached = page.url();
  await type(page, ' and more');
  await page.waitForURL((url) => url.href !== attached, { timeout: 20_000 });
  if ((await page.locator('#enclosed-files li').count()) !== 1) return 'the file is gone';
  if (!(await stored(page)).includes('and more')) return 'the text is not stored';
  const other = await context.newPage();
  const lost = await other.goto(base + attached.slice(attached.indexOf('/home')));
  await other.close();
  return lost.status() === 404 ? '' : 'the earlier version is there as well';
});

await fault('a draft written after the login ended is kept in the form', async (page) => {
  await type(page, `in ${tag}`);
  await said(page, /^Saved/);
  await context.clearCookies();
  await type(page, ' and out');
  await said(page, 'Press Save');
  return (await page.inputValue('#text')).includes('and out') ? '' : 'the form is empty';
});

await browser.close();
if (failures) console.log(`${failures} failures`);
process.exit(failures ? 1 : 0);

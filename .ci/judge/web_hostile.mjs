// HTML that attacks its reader, in a letter from a stranger and in a post, opened in Chromium: nothing may run, and nothing may load
// from another site.
//   node web_hostile.mjs DEMO.json
import { connect } from 'node:net';
import { launch, logIn, people } from './chromium.mjs';

const alice = people[0];
const base = alice.web.replace(/\/$/, '');
const tag = Date.now().toString(36);
const attacks = [
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '<svg onload=alert(1)><script>alert(1)</script></svg>',
  '<math><mtext><table><mglyph><style><!--</style><img title="--><img src=x onerror=alert(1)>">',
  '<iframe srcdoc="<script>parent.alert(1)</script>"></iframe>',
  '<a href="javascript:alert(1)">link</a> <a href="java&#10;script:alert(1)">link</a> <a href="data:text/html,<script>alert(1)</script>">link</a>',
  '<style>@import "http://evil.example/a.css"; body { background: url(http://evil.example/b) }</style>',
  '<img src="http://evil.example/c.png"> <img srcset="http://evil.example/s.png 2x">',
  '<div style="background:url(http://evil.example/d)">x</div> <table background="http://evil.example/t"><tr><td>x</td></tr></table>',
  '<meta http-equiv="refresh" content="0;url=http://evil.example/">',
  '<form action="http://evil.example/"><button>press</button></form> <button formaction="http://evil.example/">press</button>',
  '<link rel="stylesheet" href="http://evil.example/e.css"> <link rel="dns-prefetch" href="http://evil.example/">',
  '<base href="http://evil.example/">',
  '<object data="http://evil.example/f"></object> <embed src="http://evil.example/f">',
  '<video poster="http://evil.example/g" src="http://evil.example/h" autoplay></video> <audio src="http://evil.example/h" autoplay></audio>',
];
const forbidden = 'script:not([src^="/assets/"][integrity]), form[action*="evil.example"], [formaction], base[href], object, embed, meta[http-equiv=refresh], iframe[srcdoc], [onerror], [onload]';

const browser = await launch();
const context = await browser.newContext();
const home = await context.newPage();
await logIn(home, alice);
let failures = 0;

// Opens a page and says what it runs, loads from elsewhere, and holds that it must not.
async function watch(name, open) {
  const page = await context.newPage();
  const found = [];
  page.on('dialog', (dialog) => { found.push(`a dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on('request', (request) => { if (request.url().includes('evil.example')) found.push(`a request: ${request.url()}`); });
  try {
    await open(page);
    await page.waitForLoadState('networkidle');
    for (const frame of page.frames()) {
      found.push(...await frame.evaluate(() => [...document.links].map((link) => link.href).filter((href) => /^(javascript|data|vbscript):/i.test(href))));
      found.push(...await frame.evaluate((selector) => [...document.querySelectorAll(selector)].map((element) => element.outerHTML), forbidden));
    }
  } catch (error) {
    found.push(String(error).split('\n')[0]);
  }
  await page.close();
  if (found.length) failures += 1;
  console.log(found.length ? `FAIL ${name}: ${found.join('; ')}` : `ok   ${name}`);
}

// Delivers a letter from a stranger.
function deliver(message) {
  const lines = ['EHLO far.example', 'MAIL FROM:<eve@far.example>', `RCPT TO:<${alice.address}>`, 'DATA', `${message}\r\n.`, 'QUIT'];
  return new Promise((resolve, reject) => {
    const socket = connect(alice.ports.smtp, '127.0.0.1');
    let reply = '';
    socket.on('data', (data) => {
      reply += data;
      if (!/(^|\n)\d{3} [^\n]*\r\n$/.test(reply)) return;
      if (/^[45]/.test(reply)) reject(new Error(reply));
      reply = '';
      if (lines.length) socket.write(`${lines.shift()}\r\n`);
    });
    socket.on('end', resolve);
    socket.on('error', reject);
  });
}

for (const [number, attack] of attacks.entries()) {
  await deliver(`From: eve@far.example\r\nSubject: attack ${number} ${tag}\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n<p>Hello.</p>${attack}<p>Goodbye.</p>`);
  await watch(`in a letter: ${attack}`, async (page) => {
    await page.goto(base + '/home/mail');
    await page.locator('.messages a', { hasText: `attack ${number} ${tag}` }).click();
    await page.frameLocator('iframe').locator('p', { hasText: 'Hello.' }).waitFor();
  });
}
await home.goto(base + '/home/write');
await home.fill('#title', `Attacks ${tag} <script>alert(1)</script>`);
await home.fill('#text', `Hello.\n\n${attacks.join('\n\n')}\n\n[a](javascript:alert(1)) ![b](http://evil.example/i.png) <javascript:alert(1)>`);
await Promise.all([home.waitForNavigation(), home.click('button.main[value=publish]')]);
const post = home.url();
await watch('in a post on its page', (page) => page.goto(post));
await watch('in a post on the front page', (page) => page.goto(base + '/'));
await watch('in a post at home', (page) => page.goto(base + '/home'));
// The judges that follow read the front page.
await home.click('a[href^="/home/write/"]');
await home.click('details:has(#take-back) summary');
await Promise.all([home.waitForNavigation(), home.click('form[action$="/withdraw"] button')]);
// A frame is as high as its content at every width: nothing scrolls within the page, and no gap follows.
const paragraphs = `<p>${'Words that wrap where the paper ends. '.repeat(8)}</p>`.repeat(60);
await deliver(`From: eve@far.example\r\nSubject: long ${tag}\r\nMIME-Version: 1.0\r\nContent-Type: text/html\r\n\r\n${paragraphs.replaceAll('</p>', '</p>\r\n')}`);
for (const width of [360, 1280]) {
  await watch(`the frame of a long letter at ${width} pixels`, async (page) => {
    await page.setViewportSize({ width, height: 800 });
    await page.goto(base + '/home/mail');
    await page.locator('.messages a', { hasText: `long ${tag}` }).click();
    await page.waitForLoadState('networkidle');
    await page.waitForFunction(() => {
      const frame = document.querySelector('iframe');
      const root = frame.contentDocument?.documentElement;
      return root && Math.abs(frame.clientHeight - root.getBoundingClientRect().height) < 3 && root.scrollHeight <= frame.clientHeight;
    }, null, { timeout: 5000 });
  });
}

await browser.close();
console.log(`${failures} failures`);
process.exit(failures ? 1 : 0);

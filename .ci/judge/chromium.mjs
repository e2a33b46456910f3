// Chromium for the judges, and the people of the demo.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';

const require = createRequire(process.env.FREEHOLD_NPM + '/package.json');
const { chromium } = require('playwright-core');

// A judge without the demo has another first argument.
export const people = process.argv[2].endsWith('.json') ? JSON.parse(readFileSync(process.argv[2], 'utf8')).people : [];

export function launch() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
}

// Logs a person in, in this page.
export async function logIn(page, person) {
  await page.goto(person.web + 'login');
  await page.fill('input[name=password]', person.password);
  await page.click('main form button');
  await page.waitForURL((url) => url.pathname !== '/login');
}

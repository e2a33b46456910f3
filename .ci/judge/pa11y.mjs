// pa11y (HTML CodeSniffer, which shares no code with axe) on the public pages: WCAG 2, level AA.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const pa11y = createRequire(join(process.env.FREEHOLD_NPM, 'x'))('pa11y')
const chromeLaunchConfig = { executablePath: process.env.CHROMIUM || '/usr/bin/chromium', args: ['--no-sandbox'] }
let count = 0
for (const { name, web } of JSON.parse(readFileSync(process.argv[2], 'utf8')).people) {
  const front = await (await fetch(web.replace(/\/\/[^:]+:/, '//127.0.0.1:'))).text()
  const post = front.match(/href="(\/20\d\d\/[^"]+)"/)?.[1]
  for (const path of ['/', '/photos', '/login', ...(post ? [post] : [])]) {
    const { issues, documentTitle } = await pa11y(new URL(path, web).href, { chromeLaunchConfig, standard: 'WCAG2AA', timeout: 60_000 })
    for (const { code, message, selector, context } of issues) console.error(`${name} ${path}: ${message}\n  ${code}\n  ${selector}\n  ${context}`)
    console.log(`${name} ${path} (${documentTitle}): ${issues.length} issues`)
    count += issues.length
  }
}
process.exit(count === 0 ? 0 : 1)

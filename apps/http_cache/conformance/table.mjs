// table.mjs SUITE FOLDER: the results of the caches, FOLDER/NAME.json, as a table; and what
// kill9-http-cache fails of what the suite calls required or optimal, each with what it says.
import fs from 'node:fs'
import path from 'node:path'

const [suite, folder] = process.argv.slice(2)
const caches = ['nginx', 'varnish', 'kill9']
const groups = (await import(path.join(suite, 'tests/index.mjs'))).default
const tests = groups.flatMap(group => group.tests).filter(test => !test.browser_only)
const results = Object.fromEntries(
  caches.map(cache => [cache, JSON.parse(fs.readFileSync(path.join(folder, `${cache}.json`)))]))

console.log(`| http-cache-tests | of | ${caches.join(' | ')} |`)
console.log('|---|---|' + '---|'.repeat(caches.length))
for (const kind of ['required', 'optimal']) {
  const of = tests.filter(test => (test.kind || 'required') === kind)
  const passed = caches.map(cache => of.filter(test => results[cache][test.id] === true).length)
  console.log(`| ${kind} | ${of.length} | ${passed.join(' | ')} |`)
}
console.log('\nkill9-http-cache fails:')
for (const test of tests) {
  const kind = test.kind || 'required'
  const result = results.kill9[test.id]
  if (kind === 'check' || result === true) continue
  const missing = (test.depends_on || []).filter(other => results.kill9[other] !== true)
  const why = missing.length > 0 ? ` (rests on ${missing}, which is no requirement)` : ''
  console.log(`- ${kind}: ${test.id}: ${result ? result[1] : 'not run'}${why}`)
}

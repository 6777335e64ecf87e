// Reads the JSON reports of vitest that .ci/run collects. In JavaScript, as the machine's own Node may run it.
//   count.js failed-files REPORT      the files with a failed test, one a line
//   count.js sum FOLDER FAILED_STEPS  names what passed only at the second try, then `N passed, N failed` over all reports
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { relative } from "node:path";

const [, , question, place, steps] = process.argv;
const read = (file) => JSON.parse(readFileSync(file, "utf8")).testResults;
const failedFiles = (results) => results.filter((file) => file.status === "failed");

if (question === "failed-files") {
  for (const file of failedFiles(read(place))) console.log(relative(process.cwd(), file.name));
} else {
  let passed = 0;
  let failed = 0;
  for (const name of readdirSync(place).filter((entry) => !entry.endsWith(".again.json"))) {
    const again = `${place}/${name.replace(/json$/, "again.json")}`;
    const second = new Map(existsSync(again) ? read(again).map((file) => [file.name, file]) : []);
    for (const first of read(`${place}/${name}`)) {
      const file = second.get(first.name) ?? first;
      const count = (status) => file.assertionResults.filter((test) => test.status === status).length;
      passed += count("passed");
      // A file that could not even be loaded has no tests to count.
      failed += count("failed") || (file.status === "failed" ? 1 : 0);
      if (file === first || file.status === "failed") continue;
      for (const test of first.assertionResults.filter((one) => one.status === "failed")) {
        console.log(
          `unsteady, passed at the second try (${name.slice(0, -5)}): ${relative(process.cwd(), first.name)}: ${test.fullName}`,
        );
      }
    }
  }
  console.log(`${passed} passed, ${Math.max(failed, Number(steps) > 0 ? 1 : 0)} failed`);
}

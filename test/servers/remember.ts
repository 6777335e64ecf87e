/** Remember: a process of its own that records looks: `remember.ts FILE HOST COUNT`. */
import { openHistory } from "../../src/core/store/history.ts";

const [file = "", host = "", count = "0"] = process.argv.slice(2);
const history = await openHistory({ file });
for (let i = 0; i < Number(count); i++) history.record(host, { at: Date.now(), ok: i % 2 === 0, connect: 1 });
history.close();

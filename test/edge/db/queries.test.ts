import { describeQueries } from "./queries-suite.ts";
import { makeHandlerDatabase, makeNativeDatabase, makePortDatabase } from "./worlds.ts";

describeQueries("on the native driver", makeNativeDatabase);
describeQueries("on the web client through the endpoint's handler", makeHandlerDatabase);
describeQueries("on the web client over a port", makePortDatabase);
